// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, fourth policy, another model: namespaces that files stand for. Such a file is
// /proc/PID/ns/net, or one on which that is bind-mounted, as `ip netns add` and
// `unshare --net=FILE` do; it keeps a namespace alive without any process in it.
// Source: man 7 namespaces, "The /proc/pid/ns/ directory"; man 2 setns.
#pragma once

#include "ch/policies/join/join_strategy.hpp"

namespace ch {

/// A namespace of kind `kind`, by an open file that stands for it.
struct NamespaceFile {
  Fd file = Fd::none;
  NamespaceFlags kind{};
  ZString path{};  // for messages
};

/// Joins the namespace of each file, in this order; a user namespace comes first, since it gives
/// the right to join what belongs to it. The files stay the caller's. None at all is refused.
/// Errors of the steps: EINVAL, the file is of another kind, or stands for no namespace; EPERM,
/// the caller may not join it.
struct AttachToFiles {
  std::span<const NamespaceFile> files{};
  Role contribute(PlanBuilder& builder, NamespaceFlags) const noexcept {
    for (const NamespaceFile& held : files)
      builder.add(step::JoinNamespaces{Pid::none, held.kind, held.file, held.path});
    return Role::joiner;
  }
};

}  // namespace ch
