// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. A descriptor that closes itself, for code above the launch path, which throws and
// returns early. The launch path itself closes by hand, through the Kernel it was given.
// Source: man 2 close.
#pragma once

#include <utility>

#include "ch/kernel/fd.hpp"

namespace ch::kernel {

/// Owns a descriptor; -1 means none. The result of close is discarded, and errno is left alone.
class OwnedFd {
 public:
  OwnedFd() noexcept = default;
  explicit OwnedFd(int fd) noexcept : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = other.release();
    }
    return *this;
  }
  ~OwnedFd() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] Fd kernel_fd() const noexcept { return static_cast<Fd>(fd_); }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  /// Hands the descriptor over to the caller, who must close it.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept {
    Linux linux_kernel;
    if (fd_ >= 0) (void)close(linux_kernel, static_cast<Fd>(release()));
  }

 private:
  int fd_ = -1;
};

}  // namespace ch::kernel
