// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. SHA-256 digests, by which container images name their parts. A digest from a manifest
// becomes a file name, so only the exact form is accepted: elsewhere, digests with a slash once
// gave access to other files (CVE-2024-3727).
// Source: OCI image specification, descriptor.md; FIPS 180-4.
#pragma once

#include <nettle/sha2.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ch/io/failed.hpp"

namespace ch::images {

/// A SHA-256 value.
struct Digest {
  std::array<std::uint8_t, SHA256_DIGEST_SIZE> bytes{};
  friend bool operator==(const Digest&, const Digest&) noexcept = default;

  [[nodiscard]] std::string hex() const {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (const std::uint8_t b : bytes) {
      out += digits[b >> 4];
      out += digits[b & 15];
    }
    return out;
  }
  [[nodiscard]] std::string text() const { return "sha256:" + hex(); }
};

/// 64 lower-case hexadecimal digits and nothing else.
[[nodiscard]] constexpr bool is_sha256_hex(std::string_view text) noexcept {
  if (text.size() != 64) return false;
  for (const char c : text)
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  return true;
}

/// "sha256:HEX" to a value. Throws hostile for every other form.
[[nodiscard]] inline Digest parse_digest(std::string_view text) {
  constexpr std::string_view prefix = "sha256:";
  const std::string_view hex =
      text.substr(0, prefix.size()) == prefix ? text.substr(prefix.size()) : std::string_view{};
  if (!is_sha256_hex(hex))
    throw io::Failed(io::Reason::hostile, std::string(text.substr(0, 100)),
                     "this is not a digest of the form sha256:HEX");
  Digest digest;
  const auto nibble = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  for (std::size_t i = 0; i < digest.bytes.size(); ++i)
    digest.bytes[i] = static_cast<std::uint8_t>(nibble(hex[2 * i]) * 16 + nibble(hex[2 * i + 1]));
  return digest;
}

/// Computes a digest piece by piece.
class Sha256 {
 public:
  Sha256() noexcept { sha256_init(&state_); }
  void add(std::span<const char> data) noexcept {
    sha256_update(&state_, data.size(), reinterpret_cast<const std::uint8_t*>(data.data()));
  }
  /// The digest of everything added; resets the state.
  [[nodiscard]] Digest finish() noexcept {
    Digest digest;
    sha256_digest(&state_, digest.bytes.size(), digest.bytes.data());
    return digest;
  }

 private:
  sha256_ctx state_{};
};

}  // namespace ch::images
