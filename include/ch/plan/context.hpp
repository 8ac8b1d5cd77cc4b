// SPDX-License-Identifier: Apache-2.0
//
// Floor 3a. What a policy may know when it adds its steps: the host's facts and what
// the other policies have decided. Options reach a policy as its own members.
#pragma once

#include "ch/plan/host_facts.hpp"

namespace ch {

struct PlanContext {
  const HostFacts& facts;
  NamespaceFlags namespaces{};  // those of the container
  Uid uid{};                    // who the process is inside
  Gid gid{};
};

}  // namespace ch
