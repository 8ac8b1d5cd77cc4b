// SPDX-License-Identifier: Apache-2.0
//
// Namespaces joined by the files that stand for them: join IMAGE keeps a container open and
// starts a program in the same namespaces.

#include <ch/run.hpp>
#include <filesystem>
#include <iostream>

int main(int, char** argv) {
  const auto keeper = ch::spawn(ch::image(argv[1]), {"cat"}, {.in = ch::Stream::pipe()});
  if (!keeper) {
    std::cerr << keeper.error() << '\n';
    return keeper.error().exit_status();
  }
  // [join]
  const std::filesystem::path ns = "/proc/" + std::to_string(keeper->pid()) + "/ns";
  const auto box = ch::compose(ch::attach<ch::ns::user, ch::ns::mount>(ns / "user", ns / "mnt"));
  const auto got = ch::capture(box, {"readlink", "/proc/self/ns/mnt"});
  // [/join]
  if (!got) {
    std::cerr << got.error() << '\n';
    return got.error().exit_status();
  }
  const std::string shared = std::filesystem::read_symlink(ns / "mnt").string() + '\n';
  std::cout << (got->out == shared ? "in the same namespace\n" : got->out);
  return got->end.shell_status();
}
