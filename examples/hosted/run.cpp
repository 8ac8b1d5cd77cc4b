// SPDX-License-Identifier: Apache-2.0
//
// Runs a program in an image, as `ch-run IMAGE -- COMMAND` does: run IMAGE COMMAND...

// [readme]
#include <ch/run.hpp>
#include <iostream>

int main(int, char** argv) {
  const auto result = ch::run(ch::image(argv[1]), ch::Command::of(argv + 2));
  if (!result) {
    std::cerr << result.error() << '\n';  // what failed, on which path, why, and what to do
    return result.error().exit_status();  // 31: no container; 49: can't start the program
  }
  return result->shell_status();  // the program's exit status, or 128 + its fatal signal
}
// [/readme]
