// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. Making one file, link or copy under a name in a held directory, and comparing
// files. Copies are left to the kernel, which shares blocks where the file system can.
// Source: man 2 copy_file_range, linkat, symlinkat, renameat.
#pragma once

#include <algorithm>
#include <memory>

#include "ch/inject/descriptor.hpp"

namespace ch::inject {

/// Appends what is left of `from` to `to`.
inline void copy_bytes(int from, int to, std::string_view path) {
  constexpr std::size_t piece = std::size_t{1} << 30;
  for (;;) {
    const ssize_t n = ::copy_file_range(from, nullptr, to, nullptr, piece, 0);
    if (n > 0) continue;
    if (n == 0) break;  // the end; or a file system that can't say (proc), see below
    if (errno == EINTR) continue;
    if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP &&
        errno != EPERM && errno != EBADF)
      throw_errno("copy", path);
    break;
  }
  constexpr std::size_t size = std::size_t{256} * 1024;
  std::unique_ptr<char[]> buffer;
  for (;;) {
    if (!buffer) {
      char probe[512];  // mostly nothing is left
      const std::size_t n = read_some(from, probe, sizeof probe, path);
      write_all(to, {probe, n}, path);
      if (n < sizeof probe) return;
      buffer = std::make_unique<char[]>(size);
    }
    const std::size_t n = read_some(from, buffer.get(), size, path);
    write_all(to, {buffer.get(), n}, path);
    if (n < size) return;
  }
}

/// Makes the file `name` in `directory`, which must not exist yet.
inline Descriptor create_file(int directory, const std::string& name, std::string_view path) {
  Descriptor fd(::openat(directory, name.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) throw_errno("make file", path);
  return fd;
}

/// The permission bits that a copy of a file gets: no set-id bits, readable by its owner.
[[nodiscard]] constexpr mode_t copied_mode(mode_t mode) noexcept { return (mode & 0777) | 0400; }

/// Makes `name` a copy of the regular file `from`, with its permissions and time.
inline void copy_file(const Descriptor& from, int directory, const std::string& name,
                      std::string_view path) {
  const struct stat status = status_of(from, path);
  const Descriptor to = create_file(directory, name, path);
  copy_bytes(from.get(), to.get(), path);
  if (::fchmod(to.get(), copied_mode(status.st_mode)) != 0) throw_errno("set the mode of", path);
  const timespec times[2] = {status.st_mtim, status.st_mtim};
  if (::futimens(to.get(), times) != 0) throw_errno("set the time of", path);
}

inline void write_file(std::string_view content, int directory, const std::string& name,
                       mode_t mode, std::string_view path) {
  const Descriptor to = create_file(directory, name, path);
  write_all(to.get(), content, path);
  if (::fchmod(to.get(), mode) != 0) throw_errno("set the mode of", path);
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

inline void remove_name(int directory, const std::string& name, std::string_view path) {
  if (::unlinkat(directory, name.c_str(), 0) != 0 && errno != ENOENT) throw_errno("remove", path);
}

/// Gives what is at `name` a second name elsewhere: the same file where possible, a copy on
/// another file system or one without hard links. `fresh`: always a copy, since somebody
/// may write into the file itself.
enum class Keep { shared, fresh };
inline void keep_file(int from, const std::string& name, int to, const std::string& new_name,
                      std::string_view path, Keep how = Keep::shared) {
  if (how == Keep::shared) {
    if (::linkat(from, name.c_str(), to, new_name.c_str(), 0) == 0) return;
    if (errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK && errno != EXDEV)
      throw_errno("keep the original of", path);
  }
  if (const std::string target = link_target(from, name); !target.empty()) {
    make_link(target, to, new_name, path);
    return;
  }
  const Descriptor file(
      ::openat(from, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) throw_errno("read", path);
  if (!S_ISREG(status_of(file, path).st_mode))
    throw InjectError(printable(path), "this is no regular file, and can't be kept");
  copy_file(file, to, new_name, path);
}

/// Are both the same byte by byte?
[[nodiscard]] inline bool same_bytes(int a, int b, std::string_view path) {
  constexpr std::size_t size = std::size_t{128} * 1024;
  const auto buffer = std::make_unique<char[]>(2 * size);
  for (;;) {
    const std::size_t n = read_some(a, buffer.get(), size, path);
    const std::size_t m = read_some(b, buffer.get() + size, size, path);
    if (n != m || std::memcmp(buffer.get(), buffer.get() + size, n) != 0) return false;
    if (n < size) return true;
  }
}

}  // namespace ch::inject
