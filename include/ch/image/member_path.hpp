// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. The name of an archive member as a path inside the image: "usr/bin/env", the
// root itself is "". Leading slashes, "./" and repeated slashes are dropped, as they mean nothing;
// ".." is refused, since no tool writes it and any use is an escape attempt or a mistake.
// Source: POSIX pax, "file name"; docs/unpack.md for what is decided per case.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "ch/io/failed.hpp"
#include "ch/io/text.hpp"

namespace ch::images {

inline constexpr std::size_t max_name = 255;   // NAME_MAX
inline constexpr std::size_t max_path = 4095;  // PATH_MAX without its NUL

/// Writes the normal form of `raw` to `out` (reused, to spare allocations). Throws
/// hostile for "..", and for names that no file system here could hold.
inline void normalize_member_path(std::string_view raw, std::string& out) {
  out.clear();
  if (raw.find('\0') != std::string_view::npos)
    throw io::Failed(io::Reason::hostile, {}, "the name has a NUL in it");
  for (std::size_t begin = 0; begin < raw.size();) {
    std::size_t end = raw.find('/', begin);
    if (end == std::string_view::npos) end = raw.size();
    const std::string_view name = raw.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty() || name == ".") continue;
    if (name == "..")
      throw io::Failed(io::Reason::hostile, {},
                       "the name has \"..\" in it, which could lead out of "
                       "the image",
                       "do not trust this archive; check where it comes from");
    if (name.size() > max_name)
      throw io::Failed(io::Reason::hostile, {}, "a part of the name is longer than 255 bytes");
    if (!out.empty()) out += '/';
    out += name;
  }
  if (out.size() > max_path)
    throw io::Failed(io::Reason::hostile, {}, "the name is longer than 4095 bytes");
}

[[nodiscard]] inline std::string normal_member_path(std::string_view raw) {
  std::string out;
  normalize_member_path(raw, out);
  return out;
}

/// A member's name, safe to print; truncated after 200 bytes.
[[nodiscard]] inline std::string printable(std::string_view raw) { return io::printable(raw, 200); }

}  // namespace ch::images
