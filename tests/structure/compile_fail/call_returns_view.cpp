// SPDX-License-Identifier: Apache-2.0
// The text it refers to stays in the other process.
// expect: Charlie: a function that ch::call calls returns void
#include "ch/run.hpp"

const auto text = ch::call(ch::image("/img"), [] { return std::string_view("a text"); });
