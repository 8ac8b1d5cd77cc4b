// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. Untrusted text: making it printable, and splitting paths. Source: man 7 pathname.
#pragma once

#include <string>
#include <string_view>

namespace ch::io {

/// "a/b/c" is "a/b" and "c"; "c" is "" and "c".
[[nodiscard]] constexpr std::string_view parent_of(std::string_view path) noexcept {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}
[[nodiscard]] constexpr std::string_view base_of(std::string_view path) noexcept {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

/// Is it the name of a directory entry, and not a path, "." or ".."?
[[nodiscard]] constexpr bool is_plain_name(std::string_view name) noexcept {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

/// A text that is safe to print: control characters, which could manipulate a terminal, become
/// \ooo. After `most` bytes it is truncated.
[[nodiscard]] inline std::string printable(std::string_view text,
                                           std::size_t most = std::string_view::npos) {
  std::string out;
  for (const char c : text.substr(0, most)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      out += c;
      continue;
    }
    out += '\\';
    for (int shift = 6; shift >= 0; shift -= 3)
      out += static_cast<char>('0' + ((byte >> shift) & 7));
  }
  if (text.size() > most) out += "...";
  return out;
}

}  // namespace ch::io
