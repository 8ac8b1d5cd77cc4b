// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. One ch-fromhost at a time changes an image: a lock on its root directory, which the
// kernel takes back from whoever dies. Source: man 2 flock.
#pragma once

#include <sys/file.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "ch/inject/image_tree.hpp"

namespace ch::injection {

/// Holds the image for one run of ours.
class ImageLock {
 public:
  /// A process that was killed, and its child that is about to be ldconfig, hold the lock until
  /// both are gone; so a lock that is taken is waited for a little.
  static constexpr std::chrono::seconds patience{5};

  /// Throws io::Failed if another one has the image for longer than `patience`, or when `stop`
  /// becomes true.
  explicit ImageLock(const ImageTree& tree, const std::atomic<bool>* stop = nullptr)
      : fd_(::openat(tree.root().get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (!fd_) io::throw_errno("open image", tree.path());
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + patience;
    while (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
      // A file system without locks: go on, as Charliecloud does everywhere.
      if (errno != EWOULDBLOCK && errno != EINTR) return;
      if (stop != nullptr && stop->load()) throw io::Failed({}, "interrupted", {}, EINTR);
      if (Clock::now() >= end)
        throw io::Failed(
            io::printable(tree.path()),
            "another ch-fromhost is still working on this image, after a wait of " +
                std::to_string(patience.count()) + " seconds",
            "wait until it has ended (fuser -v IMAGE shows whose it is), then run this again");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

 private:
  io::Descriptor fd_;
};

}  // namespace ch::injection
