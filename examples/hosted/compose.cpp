// SPDX-License-Identifier: Apache-2.0
//
// A container composed from parts, among them a custom mount policy, id-map policy and join
// strategy: compose IMAGE DIRECTORY prints the user id inside and lists the directory.

#include <ch/run.hpp>
#include <iostream>

namespace {

// [contributor]
/// A site's file system, mounted if both host and image have the directory.
struct Lustre {
  void contribute(ch::PlanBuilder& b, const ch::PlanContext&) const noexcept {
    b.bind("/lustre", "/lustre", ch::if_both_exist);
  }
};
// [/contributor]

// [ids]
/// Maps the user to 1000, as most workstation images expect, and keeps the group.
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
/// A new container, or that of a running process, for a debugger to enter.
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
  const auto result = ch::run(box, {"sh", "-c", "id -u; ls /mnt/0"});
  // [/compose]
  if (!result) std::cerr << result.error() << '\n';
  return result ? result->shell_status() : result.error().exit_status();
}
