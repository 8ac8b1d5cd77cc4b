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

namespace detail {

/// Sets `differing` to the namespaces of `pid` that are not ours.
template <kernel::Kernel K>
kernel::Returned<void> compare_namespaces(K& k, Pid pid, NamespaceFlags& differing) noexcept {
  TextBuffer<16> number;
  number << static_cast<int>(pid);
  for (const NamespaceKind& kind : namespace_kinds) {
    const auto look_at = [&](const char* process, kernel::Statx& file) {
      TextBuffer<48> path;
      path << "/proc/" << process << "/ns/" << kind.name;
      return kernel::statx(k, Fd::cwd, path.c_str(), 0, file);
    };
    kernel::Statx ours;
    kernel::Statx theirs;
    if (!look_at("self", ours).ok()) continue;  // an older kernel
    auto seen = look_at(number.c_str(), theirs);
    if (seen.error() == Errno::enoent) seen.raw = -static_cast<long>(Errno::esrch);
    if (!seen.ok()) return seen;
    if (ours.ino != theirs.ino) differing = differing | kind.flag;
  }
  return {0, kernel::Call::statx};
}

}  // namespace detail

/// Opens a pidfd for `pid` and compares its namespaces with ours: about twenty calls. The caller
/// closes the pidfd. Errors: ESRCH, there is no such process; EACCES or EPERM, it is another
/// user's; EINVAL, it is in the same namespaces as we are.
template <kernel::Kernel K>
[[nodiscard]] Result<Target> find_target(K& k, Pid pid) noexcept {
  const auto pidfd = kernel::pidfd_open(k, pid);
  if (!pidfd.ok()) return failure(as_result(pidfd).error());
  Target target{pidfd.value(), NamespaceFlags::none};
  auto done = detail::compare_namespaces(k, pid, target.flags);
  // If it is still alive, everything read under its pid was about it.
  if (done.ok()) done = kernel::pidfd_alive(k, target.pidfd);
  if (done.ok() && target.flags == NamespaceFlags::none)
    done = {-static_cast<long>(Errno::einval), kernel::Call::setns};
  if (done.ok()) return target;
  (void)kernel::close(k, target.pidfd);
  return failure(as_result(done).error());
}

}  // namespace ch
