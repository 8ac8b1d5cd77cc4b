// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. Writes text into a buffer that the caller provides: no heap, no libc, so that paths, id
// maps and descriptions of calls can be formatted between clone and exec.
#pragma once

#include "ch/kernel/language.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ch {

/// The first `count` characters, or all there are. string_view::substr would do, but it
/// can throw, and a throw needs a library that the launch path does not have.
[[nodiscard]] constexpr std::string_view head(std::string_view text, std::size_t count) noexcept {
  return {text.data(), count < text.size() ? count : text.size()};
}
/// What follows the first `count` characters; empty if there are no more.
[[nodiscard]] constexpr std::string_view tail(std::string_view text, std::size_t count) noexcept {
  text.remove_prefix(count < text.size() ? count : text.size());
  return text;
}

/// Writes text into a buffer of fixed size. What does not fit is dropped and
/// `truncated()` says so; the buffer always ends in a NUL. Allocates nothing.
class TextWriter {
 public:
  constexpr TextWriter(char* buffer, std::size_t capacity) noexcept
      : buffer_(buffer), capacity_(capacity) {
    if (capacity_ > 0) buffer_[0] = '\0';
  }

  constexpr TextWriter& operator<<(char c) noexcept {
    if (size_ + 1 < capacity_) {
      buffer_[size_++] = c;
      buffer_[size_] = '\0';
    } else {
      truncated_ = true;
    }
    return *this;
  }
  constexpr TextWriter& operator<<(std::string_view text) noexcept {
    const std::string_view part = head(text, capacity_ > size_ ? capacity_ - size_ - 1 : 0);
    if (!part.empty()) {
      char* to = buffer_ + size_;
      for (const char c : part) *to++ = c;
      *to = '\0';
      size_ += part.size();
    }
    truncated_ = truncated_ || part.size() < text.size();
    return *this;
  }
  constexpr TextWriter& operator<<(const char* text) noexcept {
    return *this << std::string_view(text);
  }
  constexpr TextWriter& operator<<(std::uint64_t number) noexcept {
    char digits[20];
    int n = 0;
    do {
      digits[n++] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    while (n > 0) *this << digits[--n];
    return *this;
  }
  constexpr TextWriter& operator<<(std::int64_t number) noexcept {
    if (number < 0) *this << '-';
    return *this << (number < 0 ? 0 - static_cast<std::uint64_t>(number)
                                : static_cast<std::uint64_t>(number));
  }
  constexpr TextWriter& operator<<(int number) noexcept {
    return *this << static_cast<std::int64_t>(number);
  }
  constexpr TextWriter& operator<<(unsigned number) noexcept {
    return *this << static_cast<std::uint64_t>(number);
  }
  constexpr TextWriter& octal(unsigned number) noexcept {
    if (number >= 8) octal(number / 8);
    return *this << static_cast<char>('0' + number % 8);
  }

  /// Empties the buffer.
  constexpr void clear() noexcept {
    size_ = 0;
    truncated_ = false;
    if (capacity_ > 0) buffer_[0] = '\0';
  }

  [[nodiscard]] constexpr std::string_view view() const noexcept { return {buffer_, size_}; }
  [[nodiscard]] constexpr const char* c_str() const noexcept { return buffer_; }
  [[nodiscard]] constexpr bool truncated() const noexcept { return truncated_; }

 private:
  char* buffer_;
  std::size_t capacity_;
  std::size_t size_ = 0;
  bool truncated_ = false;
};

/// TextWriter with its own storage of N bytes, for short pieces on the stack.
template <std::size_t N>
class TextBuffer : public TextWriter {
 public:
  constexpr TextBuffer() noexcept : TextWriter(storage_, N) {}
  TextBuffer(const TextBuffer&) = delete;
  TextBuffer& operator=(const TextBuffer&) = delete;

 private:
  char storage_[N];  // not cleared: untouched pages cost nothing
};

}  // namespace ch
