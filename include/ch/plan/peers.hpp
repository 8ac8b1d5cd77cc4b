// SPDX-License-Identifier: Apache-2.0
//
// Floor 3a. What a plan says of a peer group: by which tag it meets, and which role a process
// has in it. How the peers meet is in meet/.
#pragma once

#include <cstdint>
#include <string_view>

namespace ch {

/// May `tag` name a group? 1 to 64 visible ASCII characters: it becomes part of the name
/// of a socket, which the kernel shows in a list with a line for each, and which has room for
/// so much and no more. A tag that was cut would be another group's.
[[nodiscard]] constexpr bool is_tag(std::string_view tag) noexcept {
  for (const char c : tag)
    if (c <= ' ' || c > '~') return false;
  return !tag.empty() && tag.size() <= 64;
}

/// What a process turns out to be: creators map ids and mount, joiners find all done.
enum class Role : std::uint8_t { creator, joiner };

/// The rank of a process that nobody has numbered among its peers.
inline constexpr int no_rank = -1;

}  // namespace ch
