// SPDX-License-Identifier: Apache-2.0
//
// Floor 3a. A process whose namespaces somebody wants to share: held by a pidfd, so that a
// later process with its number is never taken for it, and in which namespaces it is
// other than we are. Source: man 2 pidfd_open, setns; man 7 namespaces.
#pragma once

#include "ch/kernel/fd.hpp"
#include "ch/kernel/process.hpp"
#include "ch/plan/plan.hpp"

namespace ch {

/// A process that is held, and the namespaces to take from it.
struct Target {
  Fd pidfd = Fd::none;
  NamespaceFlags flags{};
};

/// Holds `pid` and compares its namespaces with ours: about twenty calls. The descriptor
/// is the caller's to close. Errors: ESRCH, there is no such process; EACCES or EPERM, it
/// is another user's; EINVAL, it has no namespace that we don't have.
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
  // Still there: so all that was read under its number was its own.
  const auto alive = as_result(kernel::pidfd_alive(k, target.pidfd));
  if (!alive) return fail(alive.error());
  if (target.flags == NamespaceFlags::none) return fail({Errno::einval, kernel::Call::setns});
  return target;
}

}  // namespace ch
