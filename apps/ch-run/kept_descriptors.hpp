// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. Descriptors that the command keeps besides 0, 1 and 2: those that the user
// names, those that the environment names to children of MPI launchers and of make, which
// would otherwise come up as singletons, or build one file at a time, and the one that
// keeps a tag alive.
// Source: PMI-1 (PMI_FD), Cray PALS (PALS_FD); GNU make manual, "POSIX Jobserver".
#pragma once

#include "apps/ch-run/options.hpp"
#include "ch/environment.hpp"

namespace ch_run {

namespace detail {

inline void keep(ch::Sequence<int>& all, std::string_view digits) noexcept {
  std::uint64_t fd = 0;
  if (ch::parse_number(digits, 1048575, fd) && fd > 2) (void)all.push_back(static_cast<int>(fd));
}

/// "--jobserver-auth=R,W" in MAKEFLAGS; the newer form names a FIFO instead.
inline void keep_job_server(ch::Sequence<int>& all, std::string_view flags) noexcept {
  for (std::string_view key : {"--jobserver-auth=", "--jobserver-fds="}) {
    const auto at = flags.find(key);
    if (at == std::string_view::npos) continue;
    const auto value = ch::tail(flags, at + key.size());
    const auto pair = ch::head(value, value.find(' '));
    const auto comma = pair.find(',');
    if (comma == std::string_view::npos) continue;
    keep(all, ch::head(pair, comma));
    keep(all, ch::tail(pair, comma + 1));
  }
}

}  // namespace detail

/// All of them, ascending, in the arena. Empty if the arena is full.
inline std::span<const int> kept_descriptors(const Options& options,
                                             const ch::Environment& environment,
                                             ch::Arena& arena) noexcept {
  constexpr std::size_t others = 9;
  auto all = arena.sequence<int>(options.keep_fds.size() + others);
  for (const int fd : options.keep_fds)
    if (fd > 2) (void)all.push_back(fd);
  for (const char* name : {"PMI_FD", "PMI2_FD", "PALS_FD"})
    if (const char* value = environment.get(name)) detail::keep(all, value);
  if (const char* flags = environment.get("MAKEFLAGS")) detail::keep_job_server(all, flags);
  if (options.join.count == 0U) (void)all.push_back(ch::meeting::tag_descriptor);
  for (std::size_t i = 1; i < all.size(); ++i)  // few, and nearly always in order
    for (std::size_t j = i; j > 0 && all[j - 1] > all[j]; --j) {
      const int moved = all[j];
      all[j] = all[j - 1];
      all[j - 1] = moved;
    }
  return all.span();
}

}  // namespace ch_run
