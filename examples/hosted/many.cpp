// SPDX-License-Identifier: Apache-2.0
//
// Starts several programs at once, then two that share one container: many IMAGE.

#include <ch/run.hpp>
#include <iostream>
#include <vector>

int main(int, char** argv) {
  // [many]
  const auto box = ch::host_integrated(argv[1]);
  std::vector<ch::Child> all;  // each has a pidfd, for poll and epoll
  for (const char* input : {"3", "1", "2"})
    if (auto child = ch::spawn(box, {"sh", "-c", "exit $0", input}))
      all.push_back(std::move(*child));
    else
      std::cerr << child.error() << '\n';
  for (auto& child : all) std::cout << child.wait()->shell_status() << '\n';
  // [/many]

  // [peers]
  const auto shared = ch::host_integrated(argv[1], ch::peers("solver-and-viewer", 2));
  const ch::Command which{"readlink", "/proc/self/ns/mnt"};
  auto solver = ch::spawn(shared, which, {.out = ch::Stream::pipe()});
  auto viewer = ch::spawn(shared, which, {.out = ch::Stream::pipe()});
  // [/peers]
  const bool shares = solver && viewer && solver->read_out() == viewer->read_out();
  std::cout << (shares ? "one container" : "two containers") << '\n';
}
