// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Which compression a stream has, told by its first bytes and never by a name:
// names can be wrong, and layers have none. Only one level of compression is recognised.
// Source: RFC 1952, 8878; xz and lz4 frame format documents.
#pragma once

#include <span>
#include <string_view>

namespace ch::images {

enum class Compression { none, gzip, bzip2, xz, lzma, zstd, lz4 };

[[nodiscard]] constexpr std::string_view name_of(Compression c) noexcept {
  switch (c) {
    case Compression::gzip:
      return "gzip";
    case Compression::bzip2:
      return "bzip2";
    case Compression::xz:
      return "xz";
    case Compression::lzma:
      return "lzma";
    case Compression::zstd:
      return "zstd";
    case Compression::lz4:
      return "lz4";
    case Compression::none:
      break;
  }
  return "none";
}

/// How many bytes detect() wants to see.
inline constexpr std::size_t detection_size = 16;

/// The compression that the first bytes of a stream indicate; otherwise `none`.
[[nodiscard]] constexpr Compression detect(std::span<const char> first) noexcept {
  const std::string_view s(first.data(), first.size());
  using namespace std::string_view_literals;
  if (s.starts_with("\x1f\x8b"sv)) return Compression::gzip;
  if (s.starts_with("BZh"sv)) return Compression::bzip2;
  if (s.starts_with("\xfd"
                    "7zXZ\0"sv))
    return Compression::xz;
  if (s.starts_with("\x28\xb5\x2f\xfd"sv)) return Compression::zstd;
  if (s.starts_with("\x04\x22\x4d\x18"sv)) return Compression::lz4;
  // lzma has no magic: properties byte, dictionary size of a power of two, then the
  // unpacked size, unknown (all ones) or below 2^40.
  if (s.size() >= 13 && s[0] == 0x5d && s[1] == 0 && s[2] == 0 &&
      ((s.substr(5, 8) == "\xff\xff\xff\xff\xff\xff\xff\xff"sv) || s.substr(10, 3) == "\0\0\0"sv))
    return Compression::lzma;
  // zstd's skippable frames (pzstd writes one first) share lz4's: the low nibble varies.
  if (s.size() >= 4 && (s[0] & 0xf0) == 0x50 && s.substr(1, 3) == "\x2a\x4d\x18"sv)
    return Compression::zstd;
  return Compression::none;
}

}  // namespace ch::images
