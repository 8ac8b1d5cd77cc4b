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
  /// A process that was killed, and its child that runs ldconfig, hold the lock until both are
  /// gone; so a lock that is taken is waited for a little.
  static constexpr std::chrono::seconds patience{5};

  /// Throws io::Failed if another one has the image for longer than `patience`, or when `stop`
  /// becomes true; or if the image's name stands for another by then.
  explicit ImageLock(const ImageTree& tree, const std::atomic<bool>* stop = nullptr)
      : fd_(tree.root().get()) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + patience;
    while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      // A file system without locks: go on, as Charliecloud does everywhere.
      if (errno != EWOULDBLOCK && errno != EINTR) return;
      if (stop != nullptr && stop->load()) throw io::interrupted();
      if (Clock::now() >= end)
        throw io::Failed(
            io::printable(tree.path()),
            "another process still injects files into this image, after a wait of " +
                std::to_string(patience.count()) + " seconds",
            "wait until it has ended (fuser -v IMAGE shows whose it is), then run this again");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    struct stat ours {
    }, now{};
    if (::fstat(fd_, &ours) != 0) io::throw_errno("look at image", tree.path());
    if (::stat(tree.path().c_str(), &now) != 0 || now.st_dev != ours.st_dev ||
        now.st_ino != ours.st_ino)
      throw io::Failed(io::printable(tree.path()),
                       "another image, or none, has taken this name while we waited for it",
                       "run this again");
  }

  ImageLock(const ImageLock&) = delete;
  ImageLock& operator=(const ImageLock&) = delete;
  ~ImageLock() { (void)::flock(fd_, LOCK_UN); }

 private:
  int fd_;  // of the tree: a process that gets that holds the lock, too
};

}  // namespace ch::injection
