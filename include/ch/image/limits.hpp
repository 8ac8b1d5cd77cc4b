// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. How much an archive may unpack to. A few kilobytes can expand to petabytes, so there is
// always a limit: by default what is free on the destination's file system when we start, so that a
// decompression bomb hits this limit before it fills the disk.
// Source: man 3 statvfs.
#pragma once

#include <sys/statvfs.h>

#include "ch/image/options.hpp"
#include "ch/io/failed.hpp"

namespace ch::images {

/// Counts what is unpacked against the limits. For one thread.
class Limits {
 public:
  /// Limits as chosen, or the free space of the file system that `fd` is on.
  Limits(const UnpackOptions& options, int fd)
      : max_size_(options.max_size), max_files_(options.max_files) {
    struct statvfs fs {};
    if ((max_size_ != from_free_space && max_files_ != from_free_space) || ::fstatvfs(fd, &fs) != 0)
      return;
    if (max_size_ == from_free_space)
      max_size_ = static_cast<std::uint64_t>(fs.f_bavail) * fs.f_frsize;
    // Some file systems have no table of inodes and report 0 of 0 (btrfs).
    if (max_files_ == from_free_space && fs.f_files != 0) max_files_ = fs.f_favail;
  }

  void member() {
    if (++files_ > max_files_)
      throw io::Failed(io::Reason::limit, {},
                       "the archive has more than " + std::to_string(max_files_) + " members",
                       "if you trust it, allow more (default: what the file system has room for)")
          .with_kind(Remedy::allow_more_files);
  }
  /// Before writing `bytes` more. `announced` bytes are checked but not counted.
  void content(std::uint64_t bytes) {
    announced(bytes);
    size_ += bytes;
  }
  void announced(std::uint64_t bytes) const {
    if (bytes > max_size_ - size_)
      throw io::Failed(io::Reason::limit, {},
                       "the archive unpacks to more than " + std::to_string(max_size_) + " bytes",
                       "if you trust it, allow more (default: what the file system has free)")
          .with_kind(Remedy::allow_more_bytes);
  }

 private:
  std::uint64_t max_size_, max_files_;
  std::uint64_t size_ = 0, files_ = 0;
};

}  // namespace ch::images
