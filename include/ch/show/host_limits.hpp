// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. The host's settings that can forbid containers. Read only after a failure, or to check
// the host: a launch that works never pays for it.
// Source: man 7 namespaces (/proc/sys/user); man 5 proc; man 2 seccomp;
// Ubuntu and Debian document their own sysctls.
#pragma once

#include "ch/plan/account.hpp"

namespace ch {

/// A setting that may be absent: then it forbids nothing.
struct Switch {
  bool present = false;
  std::uint64_t value = 0;
  [[nodiscard]] constexpr bool is(std::uint64_t v) const noexcept { return present && value == v; }
};

struct HostLimits {
  Switch max_user_namespaces;        // /proc/sys/user
  Switch max_mnt_namespaces;         // /proc/sys/user
  Switch unprivileged_userns_clone;  // /proc/sys/kernel; Debian's own, 0 forbids
  Switch apparmor_restricts_userns;  // /proc/sys/kernel; Ubuntu 23.10 and later, 1 restricts
  Switch seccomp;                    // of this process: 2 is a filter
  bool chrooted = false;             // "/" is not the root of a mount
};

namespace detail {

template <kernel::Kernel K>
Switch read_switch(K& k, const char* path) noexcept {
  Switch found;
  for_each_line(k, path, [&](std::string_view line) {
    found.present = parse_number(line, ~0ULL, found.value);
    return true;
  });
  return found;
}

}  // namespace detail

/// Asks /proc. What can't be read counts as absent. Allocates nothing.
template <kernel::Kernel K>
[[nodiscard]] HostLimits probe_limits(K& k) noexcept {
  HostLimits limits;
  limits.max_user_namespaces = detail::read_switch(k, "/proc/sys/user/max_user_namespaces");
  limits.max_mnt_namespaces = detail::read_switch(k, "/proc/sys/user/max_mnt_namespaces");
  limits.unprivileged_userns_clone =
      detail::read_switch(k, "/proc/sys/kernel/unprivileged_userns_clone");
  limits.apparmor_restricts_userns =
      detail::read_switch(k, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
  detail::for_each_line(k, "/proc/self/status", [&](std::string_view line) {
    constexpr std::string_view key = "Seccomp:\t";
    if (head(line, key.size()) != key) return false;
    limits.seccomp.present = parse_number(tail(line, key.size()), 9, limits.seccomp.value);
    return true;
  });
  kernel::Statx root;
  constexpr std::uint64_t attribute_mount_root = 0x2000;  // kernel 5.8
  if (kernel::statx(k, Fd::cwd, "/", 0, root).ok())
    limits.chrooted = (root.attributes_mask & attribute_mount_root) != 0 &&
                      (root.attributes & attribute_mount_root) == 0;
  return limits;
}

}  // namespace ch
