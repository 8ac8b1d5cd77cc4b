// SPDX-License-Identifier: Apache-2.0
//
// The four policies, one composition each, and the resulting plans. Nothing is executed, so
// this runs anywhere. docs/policies.md explains it section by section.

#include <ch/compose.hpp>
#include <ch/presets.hpp>
#include <ch/show/print_text.hpp>
#include <cstdio>

namespace {

/// Prints the plan of any container, on a made-up host.
template <class Container>
void show(const char* title, const Container& container) {
  const ch::HostFacts facts{.uid = ch::Uid{1000}, .gid = ch::Gid{100}, .kernel = {6, 18}};
  ch::ArenaOf<16 * 1024> arena;
  std::printf("%s\n", title);
  if (const auto plan = container.plan(facts, arena))
    ch::print_text(*plan,
                   [](std::string_view line) { std::fwrite(line.data(), 1, line.size(), stdout); });
}

}  // namespace

int main() {
  // [namespaces]
  using Isolated = ch::NamespaceSet<ch::ns::user, ch::ns::net, ch::ns::uts>;
  static_assert(Isolated::enters_in_place);  // a running process can enter by itself
  static_assert(!ch::NamespaceSet<ch::ns::user, ch::ns::pid>::enters_in_place);
  ch::Container<Isolated> no_network;
  no_network.hostname = "nowhere";
  show("NamespaceSet: no network, and a host name of its own", no_network);
  // [/namespaces]

  // [mounts]
  using Tree = ch::Mounts<ch::ImageRoot<>, ch::Devices, ch::Tmp<>>;
  ch::Container<ch::presets::Unprivileged, Tree> box;
  box.mounts.get<ch::ImageRoot<>>() = {ch::HostPath("/images/debian"), ch::Access::read_only};
  box.mounts.get<ch::Tmp<>>() = {ch::TmpKind::private_tmpfs};
  show("MountPolicy: an image with devices and a private /tmp", box);
  // [/mounts]

  // [ids]
  const ch::Container<ch::NamespaceSet<ch::ns::user>, ch::HostMounts, ch::AsRoot> fakeroot;
  show("IdMapPolicy: root, inside only", fakeroot);
  // [/ids]

  // [join]
  ch::presets::Attached debugger;
  debugger.join.pid = ch::Pid{4242};
  show("JoinStrategy: the namespaces of process 4242", debugger);
  // [/join]

  // [compose]
  using Any = ch::Compose<ch::UserBinds, ch::AsRoot, ch::Devices, ch::ImageRoot<>>;
  using Order = ch::Compose<ch::ImageRoot<>, ch::Devices, ch::UserBinds, ch::AsRoot>;
  static_assert(std::same_as<Any, Order>);  // the order does not matter
  // [/compose]
}
