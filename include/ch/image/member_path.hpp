// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. The name of an archive member as a path inside the image: "usr/bin/env", the
// root itself is "". Leading slashes, "./" and doubled slashes carry no meaning and go;
// ".." is refused, since no tool writes it and every use of it is an escape or a mistake.
// Source: POSIX pax, "file name"; docs/unpack.md for what is decided per case.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "ch/image/error.hpp"

namespace ch::images {

inline constexpr std::size_t max_name = 255;   // NAME_MAX
inline constexpr std::size_t max_path = 4095;  // PATH_MAX without its NUL

/// Writes the normal form of `raw` to `out` (reused, to spare allocations). Throws
/// hostile for "..", and for names that no file system here could hold.
inline void normalize_member_path(std::string_view raw, std::string& out) {
  out.clear();
  if (raw.find('\0') != std::string_view::npos)
    throw UnpackError(Failure::hostile, {}, "the name has a NUL in it");
  for (std::size_t begin = 0; begin < raw.size();) {
    std::size_t end = raw.find('/', begin);
    if (end == std::string_view::npos) end = raw.size();
    const std::string_view name = raw.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty() || name == ".") continue;
    if (name == "..")
      throw UnpackError(Failure::hostile, {},
                        "the name has \"..\" in it, which could lead out of "
                        "the image",
                        "do not trust this archive; see who made it");
    if (name.size() > max_name)
      throw UnpackError(Failure::hostile, {}, "a part of the name is longer than 255 bytes");
    if (!out.empty()) out += '/';
    out += name;
  }
  if (out.size() > max_path)
    throw UnpackError(Failure::hostile, {}, "the name is longer than 4095 bytes");
}

[[nodiscard]] inline std::string normal_member_path(std::string_view raw) {
  std::string out;
  normalize_member_path(raw, out);
  return out;
}

/// "a/b/c" is "a/b" and "c"; "c" is "" and "c".
[[nodiscard]] constexpr std::string_view parent_of(std::string_view path) noexcept {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}
[[nodiscard]] constexpr std::string_view base_of(std::string_view path) noexcept {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

/// A name as a person may see it: control characters and broken UTF-8 would play tricks
/// on a terminal, so they become \xNN; a name beyond 200 bytes is cut.
[[nodiscard]] inline std::string printable(std::string_view raw) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const char c : raw.substr(0, 200)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || byte == '\\') {
      out += "\\x";
      out += digits[byte >> 4];
      out += digits[byte & 15];
    } else {
      out += c;
    }
  }
  if (raw.size() > 200) out += "...";
  return out;
}

}  // namespace ch::images
