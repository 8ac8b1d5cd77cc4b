// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Renaming without replacing, and exchanging two names, where the kernel and the file
// system support it; the former also where they don't (NFS, some FUSE file systems, seccomp filters
// of containers).
// Source: man 2 renameat2.
#pragma once

#include <linux/fs.h>

#include "ch/image/descriptor.hpp"

namespace ch::images {

/// Did renameat2 fail because flags are not supported? The filter of an outer container returns
/// EPERM. So does the kernel for names that may not be changed, but then it fails again without
/// flags.
[[nodiscard]] inline bool lacks_flags(int error) noexcept {
  return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP || error == EPERM;
}

/// As renameat2, with RENAME_EXCHANGE or RENAME_NOREPLACE. Returns 0, or -1 and errno.
inline int rename_with(int from_directory, const char* from, int to_directory, const char* to,
                       unsigned flags) {
  if (::syscall(SYS_renameat2, from_directory, from, to_directory, to, flags) == 0) return 0;
  // NOREPLACE can be emulated by checking first, as renaming a directory replaces nothing but an
  // empty directory.
  if (flags != RENAME_NOREPLACE || !lacks_flags(errno)) return -1;
  struct stat status {};
  if (io::status_of(to_directory, to, status)) {
    errno = EEXIST;
    return -1;
  }
  return ::renameat(from_directory, from, to_directory, to);
}

}  // namespace ch::images
