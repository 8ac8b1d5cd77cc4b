// SPDX-License-Identifier: Apache-2.0
//
// A container from its parts, among them a mount policy, an id map and a way to join of one's
// own: compose IMAGE DIRECTORY shows the plan's steps and lists the directory inside.

#include <ch/run.hpp>
#include <iostream>

namespace {

// [contributor]
/// A site's file system, where host and image have it.
struct Lustre {
  void contribute(ch::PlanBuilder& b, const ch::PlanContext&) const noexcept {
    b.bind("/lustre", "/lustre", ch::if_both_exist);
  }
};
// [/contributor]

// [ids]
/// The user is 1000 inside, as most images of workstations expect, and keeps the group.
struct AsFirstUser {
  static constexpr bool maps = true;
  static ch::Uid uid(const ch::HostFacts&) noexcept { return ch::Uid{1000}; }
  static ch::Gid gid(const ch::HostFacts& facts) noexcept { return facts.gid; }
  void contribute(ch::PlanBuilder& b, const ch::HostFacts& facts) const noexcept {
    b.add(ch::step::DenySetgroups{});
    b.add(ch::step::MapUsers{{.inside = ch::Uid{1000}, .outside = facts.uid}});
    b.add(ch::step::MapGroups{{.inside = facts.gid, .outside = facts.gid}});
  }
};
// [/ids]

// [join]
/// Alone, or in the container of a process that a debugger names.
struct AloneOrWith {
  int pid = 0;
  ch::Role contribute(ch::PlanBuilder& b, ch::NamespaceFlags flags) const noexcept {
    if (pid == 0) return ch::Alone{}.contribute(b, flags);
    return ch::AttachToPid{ch::Pid{pid}}.contribute(b, flags);
  }
};
// [/join]

}  // namespace

int main(int, char** argv) {
  // [compose]
  const auto box = ch::compose(ch::bind(argv[2], "/mnt/0"), ch::devices, AsFirstUser{}, Lustre{},
                               AloneOrWith{}, ch::image(argv[1]));
  const auto end = ch::run(box, {"sh", "-c", "id -u; ls /mnt/0"});
  // [/compose]
  if (!end) std::cerr << end.error() << '\n';
  return end ? end->shell_status() : end.error().exit_status();
}
