// SPDX-License-Identifier: Apache-2.0
//
// Floor 3a. A process whose namespaces are to be joined: referred to by a pidfd, so that a later
// process with the same pid is never mistaken for it, with the set of namespaces that differ from
// ours. Source: man 2 pidfd_open, setns; man 7 namespaces.
#pragma once

#include "ch/kernel/fd.hpp"
#include "ch/kernel/process.hpp"
#include "ch/plan/plan.hpp"

namespace ch {

/// A process, and the namespaces to join.
struct Target {
  Fd pidfd = Fd::none;
  NamespaceFlags flags{};
};

/// Opens a pidfd for `pid` and compares its namespaces with ours: about twenty calls. The caller
/// closes the pidfd. Errors: ESRCH, there is no such process; EACCES or EPERM, it is another
/// user's; EINVAL, it is in the same namespaces as we are.
template <kernel::Kernel K>
[[nodiscard]] Result<Target> find_target(K& k, Pid pid) noexcept {
  const auto pidfd = as_result(kernel::pidfd_open(k, pid));
  if (!pidfd) return failure(pidfd.error());
  Target target{*pidfd, NamespaceFlags::none};
  const auto fail = [&](Error error) {
    (void)kernel::close(k, target.pidfd);
    return failure(error);
  };
  for (const NamespaceKind& kind : namespace_kinds) {
    TextBuffer<48> theirs;
    theirs << "/proc/" << static_cast<int>(pid) << "/ns/" << kind.name;
    TextBuffer<32> ours;
    ours << "/proc/self/ns/" << kind.name;
    kernel::Statx a;
    kernel::Statx b;
    if (!kernel::statx(k, Fd::cwd, ours.c_str(), 0, a).ok()) continue;  // an older kernel
    const auto seen = as_result(kernel::statx(k, Fd::cwd, theirs.c_str(), 0, b));
    if (!seen) {
      const bool gone = seen.error().code == Errno::enoent;
      return fail({gone ? Errno::esrch : seen.error().code, seen.error().operation});
    }
    if (a.ino != b.ino) target.flags = target.flags | kind.flag;
  }
  // Still alive, so everything read under its pid was about it.
  const auto alive = as_result(kernel::pidfd_alive(k, target.pidfd));
  if (!alive) return fail(alive.error());
  if (target.flags == NamespaceFlags::none) return fail({Errno::einval, kernel::Call::setns});
  return target;
}

}  // namespace ch
