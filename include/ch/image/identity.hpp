// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. Which directory a name stands for: whoever may write its parent can put another
// one under the name between two calls of ours, but not give it the first one's identity.
// Source: man 7 inode.
#pragma once

#include "ch/image/descriptor.hpp"

namespace ch::images {

struct Identity {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const Identity&) const = default;
};

/// Of `name` below `parent`, no link followed; none of any directory if there is nothing.
/// Throws what man 2 fstatat says.
[[nodiscard]] inline Identity identity(int parent, const std::string& name) {
  struct stat status {};
  return status_of(parent, name.c_str(), status) ? Identity{status.st_dev, status.st_ino}
                                                 : Identity{};
}

/// Of an open directory. Throws what man 2 fstat says.
[[nodiscard]] inline Identity identity(int directory) {
  struct stat status {};
  if (::fstat(directory, &status) != 0) throw_errno("look at", "a directory");
  return {status.st_dev, status.st_ino};
}

}  // namespace ch::images
