// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, fourth policy: who makes the namespaces. Alone, a process makes its own;
// attaching, it goes where another process already is, and nothing is left to mount.
// Source: man 2 unshare, setns, pidfd_open.
#pragma once

#include <concepts>

#include "ch/plan/context.hpp"

namespace ch {

/// What a process turns out to be: creators map ids and mount, joiners find all done.
enum class Role : std::uint8_t { creator, joiner };

/// Purpose: gets the process into the container's namespaces.
///
/// Minimal definition: `contribute(builder, flags)` adds the first steps of the plan and
/// answers the role, which the rest of the plan depends on.
///
/// Laws: after the steps the process is in all namespaces of `flags`; a joiner's plan
/// maps no ids and mounts nothing.
///
/// Models: Alone, AttachToPid.
template <class S>
concept JoinStrategy = requires(const S& strategy, PlanBuilder& builder, NamespaceFlags flags) {
  { strategy.contribute(builder, flags) } noexcept -> std::same_as<Role>;
};

/// New namespaces, for this process and its children.
struct Alone {
  Role contribute(PlanBuilder& builder, NamespaceFlags flags) const noexcept {
    builder.add(step::CreateNamespaces{flags});
    return Role::creator;
  }
};

/// The namespaces of a process that is already in a container of ours.
struct AttachToPid {
  Pid pid{};
  Role contribute(PlanBuilder& builder, NamespaceFlags flags) const noexcept {
    builder.add(step::JoinNamespaces{pid, flags});
    return Role::joiner;
  }
};

}  // namespace ch
