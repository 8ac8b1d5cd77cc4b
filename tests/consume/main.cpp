// SPDX-License-Identifier: Apache-2.0
//
// Another project's program: plans a container, then starts a program of the host in a new
// user namespace and passes on its exit status, 7.
#include <ch/launch.hpp>
#include <ch/presets.hpp>

int main() {
  ch::kernel::Linux kernel;
  ch::ArenaOf<128 * 1024> arena;
  ch::presets::Bare bare;
  if (bare.plan(ch::probe(kernel), arena)) return 1;  // it names no image
  bare.mounts.get<ch::ImageRoot<ch::Fixed<ch::Access::read_only>>>().image = ch::HostPath("/image");
  if (!bare.plan(ch::probe(kernel), arena)) return 3;

  const ch::Container<ch::NamespaceSet<ch::ns::user>> container;
  const char* command[] = {"sh", "-c", "exit 7", nullptr};
  const char* environment[] = {nullptr};
  const auto ended = ch::run(kernel, container, {"sh", command, environment}, arena);
  return ended ? ended->code : 2;
}
