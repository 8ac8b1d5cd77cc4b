// SPDX-License-Identifier: Apache-2.0
//
// Floor 2. Text without a heap: a NUL-terminated view and the parsing of numbers. The
// writer is kernel/text.hpp. All of it runs between clone and exec.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ch/kernel/text.hpp"

namespace ch {

/// NUL-terminated text, as the kernel requires, with its length. A view: the storage (argv, an
/// arena, a literal) must outlive it. Never null: a null pointer, such as getenv's for an unset
/// variable, becomes the empty text.
class ZString {
 public:
  constexpr ZString() noexcept = default;
  constexpr ZString(const char* text) noexcept  // NOLINT: a C string converts, that is its point
      : data_(text == nullptr ? "" : text), size_(std::string_view(data_).size()) {}

  [[nodiscard]] constexpr const char* c_str() const noexcept { return data_; }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
  [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] constexpr std::string_view view() const noexcept { return {data_, size_}; }
  constexpr operator std::string_view() const noexcept { return view(); }  // NOLINT
  friend constexpr bool operator==(ZString a, ZString b) noexcept { return a.view() == b.view(); }

 private:
  const char* data_ = "";
  std::size_t size_ = 0;
};

/// The same as an address only: half the size; its length is computed on demand. For errors, which
/// are passed on at every call and read at most once.
class TextAddress {
 public:
  constexpr TextAddress() noexcept = default;
  constexpr TextAddress(const char* text) noexcept  // NOLINT: as a ZString
      : data_(text == nullptr ? "" : text) {}
  constexpr TextAddress(ZString text) noexcept : data_(text.c_str()) {}  // NOLINT

  [[nodiscard]] constexpr const char* c_str() const noexcept { return data_; }
  [[nodiscard]] constexpr bool empty() const noexcept { return *data_ == '\0'; }
  [[nodiscard]] constexpr std::string_view view() const noexcept { return data_; }
  constexpr operator std::string_view() const noexcept { return view(); }  // NOLINT
  friend constexpr bool operator==(TextAddress a, TextAddress b) noexcept {
    return a.view() == b.view();
  }

 private:
  const char* data_ = "";
};

/// Parses a decimal number no greater than `limit`. False for anything else: empty, signed, or with
/// trailing characters.
[[nodiscard]] constexpr bool parse_number(std::string_view text, std::uint64_t limit,
                                          std::uint64_t& out) noexcept {
  if (text.empty()) return false;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (limit - digit) / 10) return false;
    value = value * 10 + digit;
  }
  out = value;
  return value <= limit;
}

}  // namespace ch
