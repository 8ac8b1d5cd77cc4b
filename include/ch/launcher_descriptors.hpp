// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. Descriptors that a program keeps besides 0, 1 and 2: those that its caller names,
// those that the environment names to children of MPI launchers and of make, which would
// otherwise come up as singletons, or build one file at a time, and the one that keeps a tag
// alive. Source: PMI-1 (PMI_FD), Cray PALS (PALS_FD); GNU make manual, "POSIX Jobserver".
#pragma once

#include <span>

#include "ch/environment.hpp"
#include "ch/kernel/fd.hpp"
#include "ch/meet/gathering.hpp"

namespace ch {

namespace detail {

inline void keep(Sequence<int>& all, std::string_view digits) noexcept {
  std::uint64_t fd = 0;
  if (parse_number(digits, 1048575, fd) && fd > 2) (void)all.push_back(static_cast<int>(fd));
}

/// "--jobserver-auth=R,W" in MAKEFLAGS; the newer form names a FIFO instead.
inline void keep_job_server(Sequence<int>& all, std::string_view flags) noexcept {
  for (std::string_view key : {"--jobserver-auth=", "--jobserver-fds="}) {
    const auto at = flags.find(key);
    if (at == std::string_view::npos) continue;
    const auto value = tail(flags, at + key.size());
    const auto pair = head(value, value.find(' '));
    const auto comma = pair.find(',');
    if (comma == std::string_view::npos) continue;
    keep(all, head(pair, comma));
    keep(all, tail(pair, comma + 1));
  }
}

}  // namespace detail

/// All of them that are open, in the environment's arena. Empty if that is full. `living_tag`:
/// the program holds one. A number that nobody has given us may be that of a file of our own,
/// now or later, which must not stay: one that is marked close-on-exec and that a variable names
/// is ours, since what a program inherits is not marked; under close_at_exec, where no caller
/// has opened any, also one that is named. One system call for each.
template <kernel::Kernel K>
[[nodiscard]] std::span<const int> kept_descriptors(
    K& k, std::span<const int> named, bool living_tag, Environment& environment,
    Descriptors descriptors = Descriptors::close_now) noexcept {
  constexpr std::size_t others = 9;
  auto all = environment.arena().sequence<int>(named.size() + others);
  for (const int fd : named)
    if (fd > 2) (void)all.push_back(fd);
  const std::size_t by_caller = descriptors == Descriptors::close_now ? all.size() : 0;
  for (const char* name : {"PMI_FD", "PMI2_FD", "PALS_FD"})
    if (const char* value = environment.get(name)) detail::keep(all, value);
  if (const char* flags = environment.get("MAKEFLAGS")) detail::keep_job_server(all, flags);
  auto open = Sequence<int>(all.begin(), all.capacity());  // in place
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto marked = kernel::closes_at_exec(k, static_cast<Fd>(all[i]));
    if (marked.ok() && (i < by_caller || !marked.value())) (void)open.push_back(all[i]);
  }
  if (living_tag) (void)open.push_back(meeting::tag_descriptor);
  return open.span();
}

}  // namespace ch
