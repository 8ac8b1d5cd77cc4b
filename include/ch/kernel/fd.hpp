// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. Descriptors and the files behind them: open, read, write, close, stat,
// directories and links. Paths are NUL-terminated. No wrapper allocates; all are
// safe between clone and exec. Errors are those of the man page unless a comment says what one
// means here. Source: man 2 of each call.
#pragma once

#include "ch/kernel/kernel.hpp"

namespace ch::kernel {

/// Opens `path` below `directory`, close-on-exec.
template <Kernel K>
Returned<Fd> openat(K& k, Fd directory, const char* path, std::uint64_t flags,
                    unsigned mode = 0) noexcept {
  return detail::make<Fd>(k, Call::openat, directory, path, flags | o_cloexec, mode);
}

/// Opens `path` below `directory` with the lookup rules in `how`; kernel 5.6.
/// ENOSYS also on newer kernels if a seccomp filter does not know the call: in_root.hpp has the
/// fallback.
template <Kernel K>
Returned<Fd> openat2(K& k, Fd directory, const char* path, const OpenHow& how) noexcept {
  return detail::make<Fd>(k, Call::openat2, directory, path, &how, sizeof(OpenHow));
}

/// Reads up to `size` bytes; fewer is not an error, 0 is the end.
template <Kernel K>
Returned<std::size_t> read(K& k, Fd fd, void* buffer, std::size_t size) noexcept {
  return detail::make<std::size_t>(k, Call::read, fd, buffer, size);
}

/// Writes up to `size` bytes in one call. The files of /proc that take a whole
/// record per write (uid_map) are why this does not loop.
template <Kernel K>
Returned<std::size_t> write(K& k, Fd fd, const void* data, std::size_t size) noexcept {
  return detail::make<std::size_t>(k, Call::write, fd, data, size);
}

/// Never retry close after EINTR: Linux has released the descriptor by then.
template <Kernel K>
Returned<void> close(K& k, Fd fd) noexcept {
  return detail::make<void>(k, Call::close, fd);
}

/// Closes the descriptors `first`..`last`; with `close_range_cloexec`, at the next exec. Kernel
/// 5.9, the flag 5.11.
template <Kernel K>
Returned<void> close_range(K& k, unsigned first, unsigned last, unsigned flags) noexcept {
  return detail::make<void>(k, Call::close_range, first, last, flags);
}

/// Clears the close-on-exec flag. EBADF: not open.
template <Kernel K>
Returned<void> keep_at_exec(K& k, Fd fd) noexcept {
  constexpr int f_setfd = 2;
  return detail::make<void>(k, Call::fcntl, fd, f_setfd, 0);
}

/// Is the close-on-exec flag set? EBADF: not open.
template <Kernel K>
Returned<bool> closes_at_exec(K& k, Fd fd) noexcept {
  constexpr int f_getfd = 1;
  return detail::make<bool>(k, Call::fcntl, fd, f_getfd, 0);
}

template <Kernel K>
Returned<Fd> dup3(K& k, Fd from, Fd to) noexcept {
  return detail::make<Fd>(k, Call::dup3, from, to, 0);
}

/// Locks the open file of `fd`, as long as any descriptor refers to it. EAGAIN: locked by another
/// process. man 2 flock.
template <Kernel K>
Returned<void> try_lock(K& k, Fd fd) noexcept {
  constexpr unsigned lock_ex_nb = 2 | 4;
  return detail::make<void>(k, Call::flock, fd, lock_ex_nb);
}

template <Kernel K>
Returned<void> mkdirat(K& k, Fd directory, const char* path, unsigned mode) noexcept {
  return detail::make<void>(k, Call::mkdirat, directory, path, mode);
}

/// Copies the target of the link `path` (the link `directory` itself if `path` is
/// empty) to `buffer`, without a NUL. Returns its length, cut to `size`.
template <Kernel K>
Returned<std::size_t> readlinkat(K& k, Fd directory, const char* path, char* buffer,
                                 std::size_t size) noexcept {
  return detail::make<std::size_t>(k, Call::readlinkat, directory, path, buffer, size);
}

/// Makes the symbolic link `path` below `directory`. EEXIST: the name is taken.
template <Kernel K>
Returned<void> symlinkat(K& k, const char* target, Fd directory, const char* path) noexcept {
  return detail::make<void>(k, Call::symlinkat, target, directory, path);
}

/// Removes the name `path` below `directory`. EISDIR: it is a directory.
template <Kernel K>
Returned<void> unlinkat(K& k, Fd directory, const char* path) noexcept {
  return detail::make<void>(k, Call::unlinkat, directory, path, 0);
}

/// Removes the directory `path` below `directory`. ENOTEMPTY: it is not empty.
template <Kernel K>
Returned<void> remove_directory(K& k, Fd directory, const char* path) noexcept {
  return detail::make<void>(k, Call::unlinkat, directory, path, at_removedir);
}

/// Removes an extended attribute of what is at `path`. ENODATA: it has no such attribute.
template <Kernel K>
Returned<void> removexattr(K& k, const char* path, const char* name) noexcept {
  return detail::make<void>(k, Call::removexattr, path, name);
}

/// Status of `path` below `directory` (of `directory` itself with at_empty_path). `more` requests
/// fields that not every file system has; `out.mask` says which were filled in.
template <Kernel K>
Returned<void> statx(K& k, Fd directory, const char* path, unsigned flags, Statx& out,
                     unsigned more = 0) noexcept {
  return detail::make<void>(k, Call::statx, directory, path, flags,
                            statx_basic_stats | statx_mnt_id | more, &out);
}

template <Kernel K>
Returned<void> fstatfs(K& k, Fd fd, StatFs& out) noexcept {
  return detail::make<void>(k, Call::fstatfs, fd, &out);
}

template <Kernel K>
Returned<void> fchdir(K& k, Fd directory) noexcept {
  return detail::make<void>(k, Call::fchdir, directory);
}

}  // namespace ch::kernel
