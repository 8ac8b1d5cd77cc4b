// SPDX-License-Identifier: Apache-2.0
//
// Test support: the plan of a default ch-run, on a host that exists only here.
#pragma once

#include <catch2/catch.hpp>
#include <vector>

#include "ch/presets.hpp"

namespace test {

struct DefaultPlan {
  ch::ArenaOf<std::size_t{256} * 1024> arena;
  const char* argv[3] = {"/bin/true", "it's", nullptr};
  const char* envp[3] = {"HOME=/home/alice", "PATH=/usr/bin:/bin", nullptr};
  std::vector<ch::UserBind> binds;
  ch::HostFacts facts{static_cast<ch::Uid>(1000), static_cast<ch::Gid>(1000), {6, 18}};
  ch::presets::HostIntegrated container;
  ch::Plan plan;

  explicit DefaultPlan(ch::Assembly way = ch::Assembly::detached, std::size_t extra_binds = 1) {
    facts.assembly = way;
    for (std::size_t i = 0; i < extra_binds; ++i)
      binds.push_back({ch::HostPath("/data"), ch::ImagePath("/mnt/0"), ch::Access::read_only});
    container.ids = {facts.uid, facts.gid};
    container.directory = ch::ImagePath("/work");
    container.mounts.get<ch::ImageRoot<>>() = {ch::HostPath("/images/debian"), ch::Access::read_only};
    container.mounts.get<ch::Accounts>() = {"alice", "users", "/home/alice"};
    container.mounts.get<ch::Home>() = {ch::HostPath("/users/alice"), "alice"};
    container.mounts.get<ch::UserBinds>() = {binds};
    const auto planned =
        container.plan(facts, {"/bin/true", argv, envp, "/usr/bin:/bin"}, arena);
    REQUIRE(planned);
    plan = *planned;
  }
};

}  // namespace test
