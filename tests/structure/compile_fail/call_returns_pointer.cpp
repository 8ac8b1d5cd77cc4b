// SPDX-License-Identifier: Apache-2.0
// A pointer means nothing in another process.
// expect: Charlie: a function that ch::call calls returns void
#include "ch/run.hpp"

const auto name = ch::call(ch::image("/img"), [] { return "a text"; });
