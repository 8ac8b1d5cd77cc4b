// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. Making one file, link or copy under a name in a held directory, and comparing
// files. Source: man 2 copy_file_range, sendfile, symlinkat, close.
#pragma once

#include <sys/sendfile.h>

#include <algorithm>
#include <memory>

#include "ch/inject/descriptor.hpp"

namespace ch::injection {

/// Can the kernel not copy between these files by this call, so that another one must?
[[nodiscard]] constexpr bool must_copy_otherwise(int code) noexcept {
  return code == EXDEV || code == EINVAL || code == ENOSYS || code == EOPNOTSUPP || code == EPERM ||
         code == EBADF;
}

/// Appends what is left of `from` to `to`. Left to the kernel, by copy_file_range (which shares
/// blocks where it can) or between file systems by sendfile; by hand what neither can read,
/// such as files of /proc.
inline void copy_bytes(int from, int to, std::string_view path) {
  constexpr std::size_t piece = std::size_t{1} << 30;
  const auto by_kernel = [from, to, path](auto&& copy) {
    for (bool any = false;;) {
      const ssize_t n = copy(from, to);
      if (n == 0) return any;
      any = any || n > 0;
      if (n > 0 || errno == EINTR) continue;
      if (must_copy_otherwise(errno)) return false;
      throw_errno("copy", path);
    }
  };
  if (by_kernel([](int f, int t) { return ::copy_file_range(f, nullptr, t, nullptr, piece, 0); }) ||
      by_kernel([](int f, int t) { return ::sendfile(t, f, nullptr, piece); }))
    return;
  constexpr std::size_t size = std::size_t{64} * 1024;
  const auto buffer = std::make_unique_for_overwrite<char[]>(size);
  for (std::size_t n = size; n == size;) {
    n = read_some(from, buffer.get(), size, path);
    write_all(to, {buffer.get(), n}, path);
  }
}

/// Makes the file `name` in `directory`, which must not exist yet.
inline Descriptor create_file(int directory, const std::string& name, std::string_view path) {
  Descriptor fd(::openat(directory, name.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) throw_errno("make file", path);
  return fd;
}

/// Closes a file that was written: on some file systems only this says that it could not be.
inline void close_written(Descriptor&& fd, std::string_view path) {
  // After EINTR the descriptor is gone all the same, and the file is whole (man 2 close).
  if (::close(fd.release()) != 0 && errno != EINTR) throw_errno("write", path);
}

/// The permission bits that a copy of a file gets: no set-id bits, readable by its owner.
[[nodiscard]] constexpr mode_t copied_mode(mode_t mode) noexcept { return (mode & 0777) | 0400; }

/// Makes `name` a copy of the regular file `from`, with its permissions and time.
inline void copy_file(const Descriptor& from, int directory, const std::string& name,
                      std::string_view path) {
  const struct stat status = status_of(from, path);
  Descriptor to = create_file(directory, name, path);
  copy_bytes(from.get(), to.get(), path);
  if (identity_of(status_of(from, path)) != identity_of(status))
    throw InjectError(printable(path), "the file that is copied here was changed meanwhile",
                      "wait until nothing writes to it any more");
  if (::fchmod(to.get(), copied_mode(status.st_mode)) != 0) throw_errno("set the mode of", path);
  const timespec times[2] = {status.st_mtim, status.st_mtim};
  if (::futimens(to.get(), times) != 0) throw_errno("set the time of", path);
  close_written(std::move(to), path);
}

inline void write_file(std::string_view content, int directory, const std::string& name,
                       mode_t mode, std::string_view path) {
  Descriptor to = create_file(directory, name, path);
  write_all(to.get(), content, path);
  if (::fchmod(to.get(), mode) != 0) throw_errno("set the mode of", path);
  close_written(std::move(to), path);
}

inline void make_link(const std::string& target, int directory, const std::string& name,
                      std::string_view path) {
  if (::symlinkat(target.c_str(), directory, name.c_str()) != 0) throw_errno("make link", path);
}

/// The target of the link `name` in `directory`; empty if it is no link, or is not there.
[[nodiscard]] inline std::string link_target(int directory, const std::string& name) {
  char buffer[4096];
  const ssize_t n = ::readlinkat(directory, name.c_str(), buffer, sizeof buffer);
  if (n < 0 && errno != EINVAL && errno != ENOENT) throw_errno("read link", name);
  return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : std::string();
}

/// Removes `name` from `directory`, as a directory with AT_REMOVEDIR, and answers whether it is
/// gone; else errno says why. A read-only file system refuses even where nothing is there.
[[nodiscard]] inline bool is_removed(int directory, const std::string& name, int flags) {
  if (::unlinkat(directory, name.c_str(), flags) == 0 || errno == ENOENT) return true;
  const int why = errno;
  struct stat status {};
  if (why == EROFS && ::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 &&
      errno == ENOENT)
    return true;
  errno = why;
  return false;
}
inline void remove_name(int directory, const std::string& name, std::string_view path) {
  if (!is_removed(directory, name, 0)) throw_errno("remove", path);
}

/// Are both the same byte by byte?
[[nodiscard]] inline bool same_bytes(int a, int b, std::string_view path) {
  constexpr std::size_t size = std::size_t{128} * 1024;
  const auto buffer = std::make_unique_for_overwrite<char[]>(2 * size);
  for (;;) {
    const std::size_t n = read_some(a, buffer.get(), size, path);
    const std::size_t m = read_some(b, buffer.get() + size, size, path);
    if (n != m || std::memcmp(buffer.get(), buffer.get() + size, n) != 0) return false;
    if (n < size) return true;
  }
}

}  // namespace ch::injection
