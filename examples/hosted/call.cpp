// SPDX-License-Identifier: Apache-2.0
//
// Calls a function of this program inside a container: call IMAGE.

#include <ch/run.hpp>
#include <fstream>
#include <iostream>

int main(int, char** argv) {
  // [call]
  const auto box = ch::compose(ch::image(argv[1]), ch::file("3.14", "/etc/answer"));
  const auto answer = ch::call(box, [] {
    double value = 0;
    std::ifstream("/etc/answer") >> value;  // the container's file
    return value;
  });
  // [/call]
  if (!answer) {
    std::cerr << answer.error() << '\n';
    return answer.error().exit_status();
  }
  std::cout << *answer << '\n';
  return 0;
}
