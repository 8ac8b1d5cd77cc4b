// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. Where tools without libc print to: a descriptor, with a buffer, because each
// write is a system call.
#pragma once

#include <string_view>

#include "ch/kernel/fd.hpp"

namespace ch::cli {

inline constexpr auto standard_output = static_cast<kernel::Fd>(1);
inline constexpr auto standard_error = static_cast<kernel::Fd>(2);

/// Collects text and writes it in large pieces; the rest when it goes out of scope. What
/// can't be written is dropped: there is nobody left to be told.
class Output {
 public:
  explicit Output(kernel::Fd fd) noexcept : fd_(fd) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() { flush(); }

  void operator()(std::string_view text) noexcept {
    for (const char c : text) {
      if (size_ == sizeof buffer_) flush();
      buffer_[size_++] = c;
    }
  }
  void flush() noexcept {
    for (std::size_t done = 0; done < size_;) {
      const auto n = kernel::write(linux_, fd_, buffer_ + done, size_ - done);
      if (!n.ok() || n.value() == 0) break;
      done += n.value();
    }
    size_ = 0;
  }

 private:
  kernel::Linux linux_;
  kernel::Fd fd_;
  std::size_t size_ = 0;
  char buffer_[4096];
};

/// Writes one text at once.
inline void say(kernel::Fd fd, std::string_view text) noexcept {
  Output out(fd);
  out(text);
}

}  // namespace ch::cli
