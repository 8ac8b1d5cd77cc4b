// SPDX-License-Identifier: Apache-2.0
//
// Captures a program's output, within limits: capture IMAGE. Has a program in the image sort
// some words, prints the length of each, and shows what happens to a program that takes too long.

#include <ch/run.hpp>
#include <chrono>
#include <iostream>
#include <sstream>

using namespace std::chrono_literals;

int main(int, char** argv) {
  const auto image = ch::image(argv[1]);
  const auto sorted =
      ch::capture(image, {"sort"}, {.input = "plan\nmount\nenter\n", .timeout = 20s});
  if (!sorted) {
    std::cerr << sorted.error() << '\n';
    return sorted.error().exit_status();
  }
  std::istringstream words(sorted->out);
  for (std::string word; words >> word;) std::cout << word << ' ' << word.size() << '\n';

  const auto late =
      ch::capture(image, {"sh", "-c", "echo early; exec sleep 1000"}, {.timeout = 2s});
  std::cout << late->out << (late->cut == ch::Cut::timeout ? "and then too late" : "in time")
            << '\n';
}
