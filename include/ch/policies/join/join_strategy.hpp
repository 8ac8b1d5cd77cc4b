// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, fourth policy: who makes the namespaces. Alone: a process makes its own. AttachToPid: it
// joins those of another process, and has nothing to mount; so it is with files that stand for
// namespaces (namespace_files.hpp). In a group, one process makes them for all (peer_group.hpp). Source: man 2 unshare, setns, pidfd_open.
#pragma once

#include <concepts>

#include "ch/plan/context.hpp"
#include "ch/plan/peers.hpp"

namespace ch {

/// Purpose: gets the process into the container's namespaces.
///
/// Minimal definition: `contribute(builder, flags)` adds the first steps of the plan and
/// returns the role, which the rest of the plan depends on. A strategy may also have
/// `complete(builder)`, which adds the steps that follow when the container is complete, and a
/// static `meets_peers` that is true if the container is always shared.
///
/// Laws: after the steps the process is in all namespaces of `flags`, or in those that the strategy
/// names itself (AttachToFiles); a joiner's plan maps no ids and mounts nothing. A strategy that
/// knows its role only when the plan is executed returns `creator`, and its steps skip the creator's
/// if necessary.
///
/// Models: Alone, AttachToPid, AttachToFiles, PeerGroup, LivingTag, ChosenJoin.
template <class S>
concept JoinStrategy = requires(const S& strategy, PlanBuilder& builder, NamespaceFlags flags) {
  { strategy.contribute(builder, flags) }
  noexcept->std::same_as<Role>;
};

namespace detail {
/// A strategy whose container always belongs to a group declares this member.
template <class S>
concept MeetsPeers = requires {
  requires S::meets_peers;
};
}  // namespace detail

/// New namespaces, for this process and its children.
struct Alone {
  Role contribute(PlanBuilder& builder, NamespaceFlags flags) const noexcept {
    builder.add(step::CreateNamespaces{flags});
    return Role::creator;
  }
};

/// The namespaces of a process that is already in a container of ours. If the caller has inspected
/// the process before, it should pass the `pidfd` from find_target, so that a later process with
/// the same pid is not joined by mistake.
struct AttachToPid {
  Pid pid{};
  Fd pidfd = Fd::none;
  NamespaceFlags flags = NamespaceFlags::none;  // none: those that the container names
  Role contribute(PlanBuilder& builder, NamespaceFlags all) const noexcept {
    builder.add(step::JoinNamespaces{pid, flags == NamespaceFlags::none ? all : flags, pidfd});
    return Role::joiner;
  }
};

}  // namespace ch
