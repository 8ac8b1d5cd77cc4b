// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. Untrusted text: making it printable, splitting paths and lists. Source: man 7
// pathname.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

/// The parts of `text` between any of the `separators`, without empty ones.
[[nodiscard]] inline std::vector<std::string> split(std::string_view text,
                                                    std::string_view separators) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find_first_of(separators, begin), text.size());
    if (end > begin) parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// The parts in one text, with `separator` between them.
template <class Parts>
[[nodiscard]] std::string join(const Parts& parts, std::string_view separator) {
  std::string all;
  bool first = true;
  for (const auto& part : parts) {
    if (!std::exchange(first, false)) all += separator;
    all += part;
  }
  return all;
}

/// `text` without blanks at its ends.
[[nodiscard]] constexpr std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view blanks = " \t\r";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}
std::string_view trimmed(std::string&& text) = delete;  // the view would dangle

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
