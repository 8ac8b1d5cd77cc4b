// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. Buffered output for tools without libc, because each write is a system call.
#pragma once

#include <string_view>

#include "ch/kernel/fd.hpp"
#include "ch/kernel/process.hpp"

namespace ch::cli {

inline constexpr auto standard_output = static_cast<kernel::Fd>(1);
inline constexpr auto standard_error = static_cast<kernel::Fd>(2);

/// While it exists, a write beyond `ulimit -f` fails with EFBIG instead of killing the process by
/// SIGXFSZ. Two system calls. Source: man 2 setrlimit.
class FileSizeSignalIgnored {
 public:
  explicit FileSizeSignalIgnored(kernel::Linux& k) noexcept : k_(k) {
    constexpr std::uintptr_t sig_ign = 1;
    kernel::SigAction ignore;
    ignore.handler = reinterpret_cast<void (*)(int)>(sig_ign);
    changed_ = kernel::sigaction(k_, sigxfsz, &ignore, &before_).ok();
  }
  FileSizeSignalIgnored(const FileSizeSignalIgnored&) = delete;
  FileSizeSignalIgnored& operator=(const FileSizeSignalIgnored&) = delete;
  ~FileSizeSignalIgnored() {
    if (changed_) (void)kernel::sigaction(k_, sigxfsz, &before_, nullptr);
  }

 private:
  static constexpr int sigxfsz = 25;
  kernel::Linux& k_;
  kernel::SigAction before_;
  bool changed_ = false;
};

/// Collects text and writes it in large pieces; the destructor writes the rest. After a failed
/// write the rest is dropped, which error() tells.
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
  /// A separate overload, since most of what is printed is literals, and passing a pointer is less
  /// code.
  [[gnu::noinline]] void operator()(const char* text) noexcept { (*this)(std::string_view(text)); }
  void flush() noexcept {
    if (size_ == 0) return;
    const FileSizeSignalIgnored ignored(linux_);
    for (std::size_t done = 0; done < size_ && error_ == kernel::Errno::none;) {
      const auto n = kernel::write(linux_, fd_, buffer_ + done, size_ - done);
      if (n.error() == kernel::Errno::eintr) continue;
      if (error_ == kernel::Errno::none && !n.ok()) error_ = n.error();
      if (!n.ok() || n.value() == 0) break;
      done += n.value();
    }
    size_ = 0;
  }
  /// The errno of the first failed write. Flushes first.
  [[nodiscard]] kernel::Errno error() noexcept {
    flush();
    return error_;
  }

 private:
  kernel::Linux linux_;
  kernel::Fd fd_;
  kernel::Errno error_ = kernel::Errno::none;
  std::size_t size_ = 0;
  char buffer_[4096];
};

/// Writes one text at once.
inline void say(kernel::Fd fd, std::string_view text) noexcept {
  Output out(fd);
  out(text);
}

}  // namespace ch::cli
