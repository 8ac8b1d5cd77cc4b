// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. Reads /etc/ld.so.cache, from which glibc's loader finds libraries, in the format that
// ldconfig has written since glibc 2.2 (after an old-format cache, or alone).
// Source: man 8 ldconfig, ld.so; glibc's <dl-cache.h> for the layout.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace ch::injection {

struct CachedLibrary {
  std::string soname, path;
};

/// The libraries in the bytes of a cache, in order; none if the format is unknown. An offset beyond
/// the end gives an empty text. Entries share text where a soname is the end of a path; if they
/// share more, so that a small file would become a large list, the rest is left out.
[[nodiscard]] inline std::vector<CachedLibrary> parse_loader_cache(std::string_view bytes) {
  constexpr std::string_view magic = "glibc-ld.so.cache1.1";
  constexpr std::size_t header = 48;
  constexpr std::size_t entry = 24;
  std::vector<CachedLibrary> found;
  const auto start = bytes.find(magic);
  if (start == std::string_view::npos) return found;
  const std::string_view cache = bytes.substr(start);  // offsets count from here
  const auto number = [cache](std::size_t at) -> std::size_t {
    std::uint32_t value = 0;
    if (at + sizeof value <= cache.size()) std::memcpy(&value, cache.data() + at, sizeof value);
    return value;
  };
  const auto text = [cache](std::size_t at) {
    if (at >= cache.size()) return std::string();
    return std::string(cache.substr(at, cache.find('\0', at) - at));
  };
  const std::size_t count = number(magic.size());
  std::size_t taken = 0;  // of text
  for (std::size_t i = 0;
       taken <= 2 * cache.size() && i < count && header + (i + 1) * entry <= cache.size(); ++i) {
    const std::size_t at = header + i * entry;
    found.push_back({text(number(at + 4)), text(number(at + 8))});
    taken += found.back().soname.size() + found.back().path.size();
  }
  return found;
}

}  // namespace ch::injection
