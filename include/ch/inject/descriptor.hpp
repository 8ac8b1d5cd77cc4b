// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. Reading and writing whole files through descriptors, with errors as exceptions.
// Source: man 2 open, read, write; man 3 readdir.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "ch/inject/error.hpp"
#include "ch/kernel/owned_fd.hpp"

namespace ch::injection {

using Descriptor = kernel::OwnedFd;

/// Status of what is open.
inline struct stat status_of(const Descriptor& fd, std::string_view path) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) throw_errno("look at", path);
  return status;
}

/// Status of `name` below `parent` itself, not of what a link there leads to. False if
/// there is nothing.
inline bool status_of(int parent, const std::string& name, struct stat& out) {
  if (::fstatat(parent, name.c_str(), &out, AT_SYMLINK_NOFOLLOW) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  throw_errno("look at", name);
}

[[nodiscard]] inline bool same_time(const timespec& a, const timespec& b) noexcept {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/// Which file was looked at, and in which state.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
  timespec modified{};
  friend bool operator==(const FileIdentity& a, const FileIdentity& b) noexcept {
    return a.device == b.device && a.inode == b.inode && a.size == b.size &&
           same_time(a.modified, b.modified);
  }
};
[[nodiscard]] inline FileIdentity identity_of(const struct stat& status) noexcept {
  return {status.st_dev, status.st_ino, status.st_size, status.st_mtim};
}

/// Fills `buffer` as far as the file goes; answers how far. Throws what man 2 read says.
inline std::size_t read_some(int fd, char* buffer, std::size_t size, std::string_view path) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t n = ::read(fd, buffer + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_errno("read", path);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

/// All that can be read, at most `limit` bytes; more is an error.
inline std::string read_all(int fd, std::string_view path,
                            std::size_t limit = std::size_t{64} << 20) {
  constexpr std::size_t piece = std::size_t{16} * 1024;
  std::string text;
  for (;;) {
    const std::size_t before = text.size();
    text.resize(before + piece);  // not on the stack, which may be as small as that
    const std::size_t n = read_some(fd, text.data() + before, piece, path);
    text.resize(before + n);
    if (text.size() > limit)
      throw InjectError(printable(path),
                        "this is longer than " + std::to_string(limit) +
                            " bytes, the most that is read of such a file",
                        "check that it is what it should be, or divide it");
    if (n < piece) return text;
  }
}

inline void write_all(int fd, std::string_view text, std::string_view path) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw_errno("write", path, n < 0 ? errno : ENOSPC);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

/// Names in the directory `fd`, without "." and "..".
inline std::vector<std::string> names_in(int fd, std::string_view path) {
  const int copy = ::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* stream = copy >= 0 ? ::fdopendir(copy) : nullptr;
  if (stream == nullptr) {
    const int why = errno;
    if (copy >= 0) ::close(copy);
    throw_errno("read directory", path, why);
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  const int why = errno;  // a list cut by an error must not pass for the whole
  ::closedir(stream);
  if (why != 0) throw_errno("read directory", path, why);
  return names;
}

}  // namespace ch::injection
