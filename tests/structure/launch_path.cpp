// SPDX-License-Identifier: Apache-2.0
//
// Everything that runs between clone and exec, and the planning before, instantiated for
// each preset. Its object file is searched for what it needs of a library.
#include "ch/launch.hpp"
#include "ch/presets.hpp"

namespace {

template <class Container>
int launch_in(const char* const* argv, ch::Arena& arena) noexcept {
  ch::kernel::Linux k;
  const Container container;
  const ch::Program program{argv[0], argv, argv, "/bin"};
  if (const auto ended = ch::run(k, container, program, arena)) return ended->code;
  if (const auto plan = container.plan(ch::probe(k), program, arena))
    return ch::execute(k, *plan, arena) ? 0 : 1;
  return ch::enter(k, container, arena) ? 0 : 1;
}

using Peers = ch::Container<ch::presets::Unprivileged, ch::presets::HostIntegratedMounts,
                            ch::ChosenIds, ch::PeerGroup>;
using Writable =
    ch::Container<ch::presets::Unprivileged,
                  ch::Mounts<ch::ImageRoot<ch::Fixed<ch::Access::read_write>>>, ch::AsRoot>;

}  // namespace

int launch(const char* const* argv, ch::Arena& arena) noexcept;
int launch(const char* const* argv, ch::Arena& arena) noexcept {
  return launch_in<ch::presets::HostIntegrated>(argv, arena) + launch_in<Peers>(argv, arena) +
         launch_in<ch::presets::Bare>(argv, arena) + launch_in<Writable>(argv, arena) +
         launch_in<ch::presets::Attached>(argv, arena);
}
