// SPDX-License-Identifier: Apache-2.0
//
// Runs a program in a container from C++: hello_library IMAGE. The container shares
// everything with the host except the root directory. Safe in programs with threads; the
// program's memory is not copied, however large it is.

// [readme]
#include <ch/launch.hpp>
#include <ch/presets.hpp>
#include <cstdio>

int main(int, char** argv) {
  ch::kernel::Linux kernel;
  ch::ArenaOf<128 * 1024> arena;  // all the memory that a launch needs
  const char* command[] = {"echo", "hello from", argv[1], nullptr};
  const char* environment[] = {nullptr};

  ch::presets::Bare container;  // the image, read-only, with /dev, /proc and /sys
  container.mounts.get<ch::ImageRoot<ch::Fixed<ch::Access::read_only>>>().image =
      ch::HostPath(argv[1]);
  const auto ended = ch::run(kernel, container, {"echo", command, environment}, arena);
  if (!ended)
    std::printf("can't: error %d at %s %s\n", static_cast<int>(ended.error().code),
                ended.error().path.c_str(), ended.error().why.c_str());
  return ended ? ended->shell_status() : 31;
}
// [/readme]
