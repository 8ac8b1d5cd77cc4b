// SPDX-License-Identifier: Apache-2.0
// A file does not say of which kind it should be.
// expect: Charlie: ch::attach takes the number of a process, or the kinds
#include "ch/run.hpp"

const auto joins = ch::attach("/run/netns/a");
