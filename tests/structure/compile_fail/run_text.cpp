// SPDX-License-Identifier: Apache-2.0
// No shell splits a command.
// expect: Charlie: a command is a list of words, which no shell splits
#include "ch/run.hpp"

auto end = ch::run(ch::image("/img"), "echo hi");
