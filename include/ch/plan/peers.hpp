// SPDX-License-Identifier: Apache-2.0
//
// Floor 3a. What a plan says about a peer group: its tag, and the role of a process in it. How the
// peers meet is in meet/.
#pragma once

#include <cstdint>
#include <string_view>

namespace ch {

/// May `tag` name a group? 1 to 64 visible ASCII characters: it becomes part of a socket's name,
/// which the kernel lists in /proc/net/unix, one per line, and whose length is limited. A truncated
/// tag could be that of another group.
[[nodiscard]] constexpr bool is_tag(std::string_view tag) noexcept {
  for (const char c : tag)
    if (c <= ' ' || c > '~') return false;
  return !tag.empty() && tag.size() <= 64;
}

/// The role of a process: creators map ids and mount, joiners find everything done.
enum class Role : std::uint8_t { creator, joiner };

/// The rank of a process that has none.
inline constexpr int no_rank = -1;

}  // namespace ch
