// SPDX-License-Identifier: Apache-2.0
//
// Floor 2. A descriptor for the duration of a block, closed through the launch path's Kernel, at
// once or by exec. Runs between clone and exec. Source: man 2 close.
#pragma once

#include "ch/kernel/fd.hpp"
#include "ch/types/ids.hpp"

namespace ch {

/// Closes `fd`, unless exec will. Descriptors above 127 are closed in any case, so that a thousand
/// binds fit into the usual limit of 1024 descriptors.
template <kernel::Kernel K>
void release(K& k, Descriptors when, Fd fd) noexcept {
  if (when == Descriptors::close_now || static_cast<int>(fd) > 127) (void)kernel::close(k, fd);
}

template <kernel::Kernel K>
class ScopedFd {
 public:
  ScopedFd(K& k, Descriptors when, Fd fd) noexcept : k_(k), when_(when), fd_(fd) {}
  ScopedFd(const ScopedFd&) = delete;
  ScopedFd& operator=(const ScopedFd&) = delete;
  ~ScopedFd() {
    if (fd_ != Fd::none) release(k_, when_, fd_);
  }
  [[nodiscard]] Fd get() const noexcept { return fd_; }
  /// The descriptor, which the caller now has to release.
  [[nodiscard]] Fd take() noexcept {
    const Fd fd = fd_;
    fd_ = Fd::none;
    return fd;
  }

 private:
  K& k_;
  Descriptors when_;
  Fd fd_;
};

}  // namespace ch
