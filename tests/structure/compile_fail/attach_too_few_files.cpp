// SPDX-License-Identifier: Apache-2.0
// A file for each kind.
// expect: Charlie: ch::attach takes a file for each kind of namespace
#include "ch/run.hpp"

const auto joins = ch::attach<ch::ns::user, ch::ns::net>("/run/netns/a");
