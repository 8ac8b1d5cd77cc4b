// SPDX-License-Identifier: Apache-2.0
//
// A custom mount contributor next to the library's: docs/contributor.md walks through it.
// Without arguments, prints the plan. contributor IMAGE DIRECTORY mounts the directory at
// /run/munge in a container and runs ls on it.

#include <ch/launch.hpp>
#include <ch/policies/mount/devices.hpp>
#include <ch/policies/mount/image_root.hpp>
#include <ch/show/print_text.hpp>
#include <cstdio>

#include "munge.hpp"

namespace {

using Image = ch::ImageRoot<ch::Fixed<ch::Access::read_only>>;
using Box = ch::Container<ch::NamespaceSet<ch::ns::user, ch::ns::mount>,
                          ch::Mounts<Image, ch::Devices, Munge>>;

/// On a made-up host, so that the plan is the same wherever this runs.
void show_plan(const Box& box) {
  const ch::HostFacts facts{.uid = ch::Uid{1000}, .gid = ch::Gid{1000}, .kernel = {6, 15}};
  ch::ArenaOf<16 * 1024> arena;
  const auto plan = box.plan(facts, arena);
  if (plan)
    ch::print_text(*plan,
                   [](std::string_view line) { std::fwrite(line.data(), 1, line.size(), stdout); });
}

}  // namespace

int main(int argc, char** argv) {
  Box box;
  box.mounts.get<Image>().image = ch::HostPath("/data/image");
  if (argc != 3) {
    show_plan(box);
    return 0;
  }
  box.mounts.get<Image>().image = ch::HostPath(argv[1]);
  box.mounts.get<Munge>().socket_directory = ch::HostPath(argv[2]);
  ch::kernel::Linux kernel;
  ch::ArenaOf<128 * 1024> arena;
  const char* command[] = {"ls", "/run/munge", nullptr};
  const char* environment[] = {nullptr};
  const auto ended = ch::run(kernel, box, {"ls", command, environment}, arena);
  return ended ? ended->shell_status() : 31;
}
