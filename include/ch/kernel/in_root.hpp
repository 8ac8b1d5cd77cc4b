// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. The one place where this project looks up a path inside an image. An image is an
// untrusted directory tree: a link in it may point to /etc or ../../etc, and following that from
// outside would lead to the host's files. Here every link, absolute or not, is resolved as if the
// image were already the root directory, and links of /proc that jump elsewhere (magic links) are
// refused. Mount points, bind destinations, the unpacker and file injection all use it.
// Source: man 2 openat2 (RESOLVE_IN_ROOT); man 7 path_resolution.
#pragma once

#include "ch/kernel/root_walk.hpp"

namespace ch::kernel {

/// Opens `path` in `root` by hand. A separate function, so that a caller that does not need it does
/// not pay for its 14 KiB of stack: untouched pages cost no page fault.
template <Kernel K>
[[gnu::noinline]] Returned<Fd> walk_in_root(K& k, Fd root, const char* path, std::uint64_t flags,
                                            unsigned mode = 0) noexcept {
  RootWalk walk;
  return walk.open(k, root, path, flags, mode);
}

/// Opens `path` as a process whose root directory is `root` would: absolute links
/// start at `root`, ".." stops there. `flags` as in man 2 open, close-on-exec always;
/// `mode` for o_creat. Errors: ENOENT (also for a link that dangles inside the image, and
/// for the empty path), ENOTDIR, EACCES, ELOOP (too many links, or a magic link), EISDIR
/// (o_creat and a slash at the end). Allocates nothing; safe between clone and exec. openat2 needs
/// kernel 5.6; if it is missing or refused (by seccomp filters of an outer container, even on new
/// kernels), we walk by hand, with the same results except that a path more than 127 directories
/// deep gives ENAMETOOLONG, and a magic link is treated as text like any link.
template <Kernel K>
Returned<Fd> open_in_root(K& k, Fd root, const char* path, std::uint64_t flags,
                          unsigned mode = 0) noexcept {
  const OpenHow how{flags | o_cloexec, mode, resolve_in_root | resolve_no_magiclinks};
  for (int tries = 0; tries < 64; ++tries) {
    const auto opened = openat2(k, root, path, how);
    if (opened.ok()) return opened;
    if (opened.error() == Errno::enosys || opened.error() == Errno::eperm) break;
    if (opened.error() != Errno::eagain) return opened;  // EAGAIN: a rename raced with ".."
  }
  return walk_in_root(k, root, path, flags, mode);
}

}  // namespace ch::kernel
