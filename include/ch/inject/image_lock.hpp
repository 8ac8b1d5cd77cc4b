// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. Lets only one ch-fromhost at a time change an image: by a lock on its root directory,
// which the kernel releases when the owner dies. Source: man 2 flock.
#pragma once

#include <sys/file.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "ch/inject/image_tree.hpp"

namespace ch::injection {

/// Locks the image while it exists.
class ImageLock {
 public:
  /// After a run is killed, its child, until that executes ldconfig, may hold the lock a little
  /// longer; so we wait a little for a lock that is taken.
  static constexpr std::chrono::seconds patience{5};

  /// Throws io::Failed if another process holds the lock for longer than `patience`, if `stop`
  /// becomes true, or if the image's name has come to stand for another directory meanwhile.
  explicit ImageLock(const ImageTree& tree, const std::atomic<bool>* stop = nullptr)
      : fd_(tree.root().get()) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + patience;
    while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      // A file system without locks: go on without, as Charliecloud always does.
      if (errno != EWOULDBLOCK && errno != EINTR) return;
      if (stop != nullptr && stop->load()) throw io::interrupted();
      if (Clock::now() >= end)
        throw io::Failed(
            io::printable(tree.path()),
            "another process is still injecting files into this image after " +
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
                       "this image was replaced or removed while we waited for it",
                       "run this again");
  }

  ImageLock(const ImageLock&) = delete;
  ImageLock& operator=(const ImageLock&) = delete;
  ~ImageLock() { (void)::flock(fd_, LOCK_UN); }

 private:
  int fd_;  // the tree's descriptor: a process that inherits it holds the lock, too
};

}  // namespace ch::injection
