// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. Which file was examined, and in which state: to make sure that the file which is copied
// later is the one that was checked. Source: man 7 inode.
#pragma once

#include "ch/io/descriptor.hpp"

namespace ch::injection {

[[nodiscard]] inline bool same_time(const timespec& a, const timespec& b) noexcept {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

struct FileIdentity {
  io::Identity file{};
  off_t size = 0;
  timespec modified{};
  friend bool operator==(const FileIdentity& a, const FileIdentity& b) noexcept {
    return a.file == b.file && a.size == b.size && same_time(a.modified, b.modified);
  }
};
[[nodiscard]] inline FileIdentity identity_of(const struct stat& status) noexcept {
  return {io::identity(status), status.st_size, status.st_mtim};
}

}  // namespace ch::injection
