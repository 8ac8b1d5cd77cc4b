// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. Copying a file to a name in an open directory, and comparing files.
// Source: man 2 copy_file_range, sendfile.
#pragma once

#include <sys/sendfile.h>

#include <algorithm>
#include <memory>

#include "ch/inject/file_identity.hpp"
#include "ch/io/file.hpp"

namespace ch::injection {

/// Does this errno mean that the kernel can't copy these files by this call, so that another one
/// has to be tried?
[[nodiscard]] constexpr bool must_copy_otherwise(int code) noexcept {
  return code == EXDEV || code == EINVAL || code == ENOSYS || code == EOPNOTSUPP || code == EPERM ||
         code == EBADF;
}

/// Appends the rest of `from` to `to`: in the kernel by copy_file_range (which shares blocks if
/// possible) or, between file systems, by sendfile; with read and write if neither works, as for
/// files in /proc.
inline void copy_bytes(int from, int to, std::string_view path) {
  constexpr std::size_t piece = std::size_t{1} << 30;
  const auto by_kernel = [from, to, path](auto&& copy) {
    for (bool any = false;;) {
      const ssize_t n = copy(from, to);
      if (n == 0) return any;
      any = any || n > 0;
      if (n > 0 || errno == EINTR) continue;
      if (must_copy_otherwise(errno)) return false;
      io::throw_errno("copy", path);
    }
  };
  if (by_kernel([](int f, int t) { return ::copy_file_range(f, nullptr, t, nullptr, piece, 0); }) ||
      by_kernel([](int f, int t) { return ::sendfile(t, f, nullptr, piece); }))
    return;
  constexpr std::size_t size = std::size_t{64} * 1024;
  const auto buffer = std::make_unique_for_overwrite<char[]>(size);
  for (std::size_t n = size; n == size;) {
    n = io::read_some(from, buffer.get(), size, path);
    io::write_all(to, {buffer.get(), n}, path);
  }
}

/// The permission bits that a copy of a file gets: no set-id bits, readable by its owner.
[[nodiscard]] constexpr mode_t copied_mode(mode_t mode) noexcept { return (mode & 0777) | 0400; }

/// Makes `name` a copy of the regular file `from`, with its permissions and time.
inline void copy_file(const io::Descriptor& from, int directory, const std::string& name,
                      std::string_view path) {
  const struct stat status = io::status_of(from, path);
  io::Descriptor to = io::create_file(directory, name, path);
  copy_bytes(from.get(), to.get(), path);
  if (identity_of(io::status_of(from, path)) != identity_of(status))
    throw io::Failed(io::printable(path), "the source file was changed while it was copied",
                     "wait until nothing writes to it any more");
  if (::fchmod(to.get(), copied_mode(status.st_mode)) != 0)
    io::throw_errno("set the mode of", path);
  const timespec times[2] = {status.st_mtim, status.st_mtim};
  if (::futimens(to.get(), times) != 0) io::throw_errno("set the time of", path);
  io::close_written(to, path);
}

/// Have both files the same bytes?
[[nodiscard]] inline bool same_bytes(int a, int b, std::string_view path) {
  constexpr std::size_t size = std::size_t{128} * 1024;
  const auto buffer = std::make_unique_for_overwrite<char[]>(2 * size);
  for (;;) {
    const std::size_t n = io::read_some(a, buffer.get(), size, path);
    const std::size_t m = io::read_some(b, buffer.get() + size, size, path);
    if (n != m || std::memcmp(buffer.get(), buffer.get() + size, n) != 0) return false;
    if (n < size) return true;
  }
}

}  // namespace ch::injection
