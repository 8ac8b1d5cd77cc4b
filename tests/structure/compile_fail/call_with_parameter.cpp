// SPDX-License-Identifier: Apache-2.0
// Nobody would pass the argument.
// expect: Charlie: ch::call takes a function without parameters
#include "ch/run.hpp"

auto got = ch::call(ch::image("/img"), [](int x) { return x; });
