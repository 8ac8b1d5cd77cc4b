// SPDX-License-Identifier: Apache-2.0
//
// What each policy contributes, as steps.

#include <catch2/catch.hpp>
#include <string>

#include "ch/policies/join/namespace_files.hpp"
#include "ch/presets.hpp"
#include "ch/show/print_text.hpp"

using namespace ch;

namespace {

const HostFacts facts{static_cast<Uid>(1000), static_cast<Gid>(100), {6, 18}};

std::string text_of(const Plan& plan) {
  std::string text;
  print_text(plan, [&](std::string_view line) { text += line.substr(4); });
  return text;
}

/// The steps of a mount contributor alone.
template <class C>
std::string steps_of(const C& contributor, Uid uid = facts.uid,
                     NamespaceFlags flags = presets::Unprivileged::flags()) {
  ArenaOf<16384> arena;
  PlanBuilder builder(arena);
  contributor.contribute(builder, PlanContext{facts, flags, uid, facts.gid});
  return text_of(*builder.finish());
}

template <class C>
std::string plan_of(const C& container) {
  ArenaOf<16384> arena;
  const auto plan = container.plan(facts, arena);
  return plan ? text_of(*plan) : std::string("invalid: ") + plan.error().why.c_str();
}

}  // namespace

TEST_CASE("a namespace set knows its flags and whether it takes a child", "[pure]") {
  STATIC_REQUIRE(static_cast<std::uint64_t>(NamespaceSet<ns::user, ns::mount>::flags()) ==
                 (kernel::clone_newuser | kernel::clone_newns));
  STATIC_REQUIRE(
      NamespaceSet<ns::user, ns::mount, ns::net, ns::ipc, ns::uts, ns::cgroup>::enters_in_place);
  STATIC_REQUIRE_FALSE(NamespaceSet<ns::user, ns::pid>::enters_in_place);
  STATIC_REQUIRE_FALSE(NamespaceSet<ns::user, ns::time>::enters_in_place);
  STATIC_REQUIRE(NamespacePolicy<NamespaceSet<>>);
  STATIC_REQUIRE_FALSE(NamespacePolicy<int>);
}

TEST_CASE("the models satisfy their concepts", "[pure]") {
  STATIC_REQUIRE(IdMapPolicy<SameIds>);
  STATIC_REQUIRE(IdMapPolicy<AsRoot>);
  STATIC_REQUIRE(IdMapPolicy<ChosenIds>);
  STATIC_REQUIRE(IdMapPolicy<KeepIds>);
  STATIC_REQUIRE(JoinStrategy<Alone>);
  STATIC_REQUIRE(JoinStrategy<AttachToPid>);
  STATIC_REQUIRE(JoinStrategy<AttachToFiles>);
  STATIC_REQUIRE(MountPolicy<HostMounts>);
  STATIC_REQUIRE(MountPolicy<Mounts<ImageRoot<>, Devices>>);
  STATIC_REQUIRE(MountContributor<Home>);
  STATIC_REQUIRE_FALSE(MountContributor<SameIds>);
  STATIC_REQUIRE_FALSE(MountPolicy<Devices>);
}

TEST_CASE("ids map to the caller's, outside", "[pure]") {
  Container<NamespaceSet<ns::user>, HostMounts, ChosenIds> box;
  box.ids = {static_cast<Uid>(5), static_cast<Gid>(6)};
  CHECK(plan_of(box) ==
        "make namespaces: user\n"
        "deny setgroups\n"
        "map uid 5 inside to 1000 outside\n"
        "map gid 6 inside to 100 outside\n"
        "forbid new privileges\n");
}

TEST_CASE("attaching maps and mounts nothing", "[pure]") {
  presets::Attached box;
  box.join.pid = static_cast<Pid>(42);
  CHECK(plan_of(box) ==
        "join namespaces of process 42: user, mnt\n"
        "forbid new privileges\n");
}

TEST_CASE("without a user namespace, mounts are cut off from the host's first", "[pure]") {
  Container<NamespaceSet<ns::mount>, Mounts<ImageRoot<>>, KeepIds> box;
  box.mounts.get<ImageRoot<>>().image = HostPath("/i");
  CHECK(plan_of(box) ==
        "make namespaces: mnt\n"
        "make all mounts private\n"
        "open image /i, read-only\n"
        "make this tree the root and detach the host's\n"
        "forbid new privileges\n");
}

TEST_CASE("an image by itself mounts the directory and nothing else", "[pure]") {
  Container<presets::Unprivileged, Mounts<ImageRoot<Fixed<Access::read_write>>>, AsRoot> box;
  box.mounts.get<ImageRoot<Fixed<Access::read_write>>>().image = HostPath("/out");
  CHECK(plan_of(box) ==
        "make namespaces: user, mnt\n"
        "deny setgroups\n"
        "map uid 0 inside to 1000 outside\n"
        "map gid 0 inside to 100 outside\n"
        "open image /out\n"
        "make this tree the root and detach the host's\n"
        "forbid new privileges\n");
}

TEST_CASE("a new pid namespace gets a proc of its own", "[pure]") {
  CHECK(steps_of(Devices{}) == "bind /dev on /dev\nbind /proc on /proc\nbind /sys on /sys\n");
  CHECK(steps_of(Devices{}, facts.uid, NamespaceSet<ns::user, ns::mount, ns::pid>::flags()) ==
        "bind /dev on /dev\nmount a new proc on /proc\nbind /sys on /sys\n");
}

TEST_CASE("/tmp is the host's or private", "[pure]") {
  CHECK(steps_of(Tmp<>{{TmpKind::shared_with_host}}) == "bind /tmp on /tmp\n");
  CHECK(steps_of(Tmp<Fixed<TmpKind::private_tmpfs>>{}) == "mount a new tmpfs on /tmp\n");
}

TEST_CASE("without a source there is no home", "[pure]") { CHECK(steps_of(Home{}).empty()); }

TEST_CASE("accounts are root, nobody and the user inside", "[pure]") {
  const auto files = [](Uid uid, Gid gid, const Accounts& accounts) {
    ArenaOf<16384> arena;
    PlanBuilder b(arena);
    accounts.contribute(b, PlanContext{facts, {}, uid, gid});
    const auto plan = b.finish();
    std::string text;
    for (const Step& s : plan->steps)
      if (const auto* file = std::get_if<step::WriteScratchFile>(&s)) text += file->content;
    return text;
  };
  const std::string fixed_users = "nobody:x:65534:65534:nobody:/:/bin/false\n";
  const std::string fixed_groups = "root:x:0:\nnogroup:x:65534:\n";
  CHECK(files(static_cast<Uid>(7), static_cast<Gid>(8), {"alice", "users", "/home/alice"}) ==
        "root:x:0:0:root:/root:/bin/sh\n" + fixed_users +
            "alice:x:7:8:alice:/home/alice:/bin/sh\n" + fixed_groups + "users:x:8:\n");
  CHECK(files(Uid::root, Gid::root, {"", "", "/home/alice"}) ==
        "root:x:0:0:root:/home/alice:/bin/sh\n" + fixed_users + fixed_groups);
  CHECK(files(Uid::nobody, Gid::nogroup, {}) ==
        "root:x:0:0:root:/root:/bin/sh\n" + fixed_users + fixed_groups);
  CHECK(files(static_cast<Uid>(4294967294U), static_cast<Gid>(9), {}) ==
        "root:x:0:0:root:/root:/bin/sh\n" + fixed_users +
            "user4294967294:x:4294967294:9:user4294967294:/:/bin/sh\n" + fixed_groups +
            "group9:x:9:\n");
}

TEST_CASE("an arena that is too small is an error, not a wrong plan", "[pure]") {
  presets::HostIntegrated box;
  box.mounts.get<ImageRoot<>>().image = HostPath("/i");
  bool fitted = false;
  alignas(16) static std::byte storage[16384];
  for (std::size_t size = 0; size < sizeof storage; size += 64) {
    Arena arena({storage, size});
    const auto plan = box.plan(facts, arena);
    if (plan)
      fitted = true;
    else
      CHECK(plan.error().code == Errno::enomem);
    CHECK(static_cast<bool>(plan) == fitted);  // once it fits, it fits with any larger arena
  }
  CHECK(fitted);
}
