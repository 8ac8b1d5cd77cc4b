// SPDX-License-Identifier: Apache-2.0
//
// Unpacks an archive and runs a command in the image: unpack ARCHIVE DIR COMMAND...

#include <ch/image.hpp>
#include <ch/run.hpp>
#include <iostream>

int main(int, char** argv) {
  // [unpack]
  const auto made = ch::unpack(argv[1], argv[2]);
  if (!made) {
    std::cerr << made.error() << '\n';
    return 1;
  }
  std::cout << "unpacked a " << made->format << std::endl;  // before the command's output
  // [/unpack]
  const auto result = ch::run(ch::image(argv[2]), ch::Command::of(argv + 3));
  return result ? result->shell_status() : result.error().exit_status();
}
