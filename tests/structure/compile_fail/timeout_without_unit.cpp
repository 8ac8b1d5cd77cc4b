// SPDX-License-Identifier: Apache-2.0
// Five of what?
// expect: Charlie: a time has a unit: write 5s or 300ms
#include "ch/run.hpp"

const auto got = ch::capture(ch::image("/img"), {"true"}, {.timeout = 5});
