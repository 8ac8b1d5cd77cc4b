// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. Descriptors that a program keeps besides 0, 1 and 2: those that its caller names; those
// that MPI launchers and make name in the environment (without them, ranks would start as
// singletons and make would build one file at a time); and the one that keeps a tag alive. Source:
// PMI-1 (PMI_FD), Cray PALS (PALS_FD); GNU make manual, "POSIX Jobserver".
#pragma once

#include <span>

#include "ch/environment.hpp"
#include "ch/kernel/fd.hpp"
#include "ch/meet/gathering.hpp"

namespace ch {

namespace detail {

inline void add_descriptor(Sequence<int>& all, std::string_view digits) noexcept {
  std::uint64_t fd = 0;
  if (parse_number(digits, 1048575, fd) && fd > 2) (void)all.push_back(static_cast<int>(fd));
}

/// "--jobserver-auth=R,W" in MAKEFLAGS; the newer form names a FIFO instead.
inline void add_jobserver(Sequence<int>& all, std::string_view flags) noexcept {
  for (std::string_view key : {"--jobserver-auth=", "--jobserver-fds="}) {
    const auto at = flags.find(key);
    if (at == std::string_view::npos) continue;
    const auto value = tail(flags, at + key.size());
    const auto pair = head(value, value.find(' '));
    const auto comma = pair.find(',');
    if (comma == std::string_view::npos) continue;
    add_descriptor(all, head(pair, comma));
    add_descriptor(all, tail(pair, comma + 1));
  }
}

}  // namespace detail

/// All of them that are open, in the environment's arena; empty if that is full. `living_tag`: the
/// program holds a tag's descriptor. A number in a variable may be stale and belong to a file of
/// our own, which must not leak. Our files are close-on-exec and inherited ones are not, so
/// close-on-exec descriptors from variables are left out. With close_at_exec the caller has opened
/// no files, so this also holds for the numbers in `named`. One system call each.
template <kernel::Kernel K>
[[nodiscard]] std::span<const int> kept_descriptors(
    K& k, std::span<const int> named, bool living_tag, Environment& environment,
    Descriptors descriptors = Descriptors::close_now) noexcept {
  constexpr std::size_t others = 9;
  auto all = environment.arena().sequence<int>(named.size() + others);
  for (const int fd : named)
    if (fd > 2) (void)all.push_back(fd);
  const std::size_t named_count = descriptors == Descriptors::close_now ? all.size() : 0;
  for (const char* name : {"PMI_FD", "PMI2_FD", "PALS_FD"})
    if (const char* value = environment.get(name)) detail::add_descriptor(all, value);
  if (const char* flags = environment.get("MAKEFLAGS")) detail::add_jobserver(all, flags);
  auto open = Sequence<int>(all.begin(), all.capacity());  // in place
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto marked = kernel::closes_at_exec(k, static_cast<Fd>(all[i]));
    if (marked.ok() && (i < named_count || !marked.value())) (void)open.push_back(all[i]);
  }
  if (living_tag) (void)open.push_back(meeting::tag_descriptor);
  return open.span();
}

}  // namespace ch
