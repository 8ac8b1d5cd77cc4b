// SPDX-License-Identifier: Apache-2.0
//
// Runs a program in an image, as `ch-run IMAGE -- COMMAND` does: run IMAGE COMMAND...

// [readme]
#include <ch/run.hpp>
#include <iostream>

int main(int, char** argv) {
  const auto end = ch::run(ch::image(argv[1]), ch::Command::of(argv + 2));
  if (!end) {
    std::cerr << end.error() << '\n';  // what failed, on which path, why, what to do
    return end.error().exit_status();  // 31: no container, 49: no such program in it
  }
  return end->shell_status();  // of the program; 128 and the signal that killed it
}
// [/readme]
