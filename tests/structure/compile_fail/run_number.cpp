// SPDX-License-Identifier: Apache-2.0
// A word is a text.
// expect: Charlie: a number is not a text: write std::to_string of it
#include "ch/run.hpp"

auto end = ch::run(ch::image("/img"), {"exit", 0});
