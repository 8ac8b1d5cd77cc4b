// SPDX-License-Identifier: Apache-2.0
// The end of argv is not part of its type.
// expect: Charlie: write ch::Command::of(argv + 1)
#include "ch/run.hpp"

int main(int, char** argv) { return ch::run(ch::image("/img"), argv + 1) ? 0 : 1; }
