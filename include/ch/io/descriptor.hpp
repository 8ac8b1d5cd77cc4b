// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. Looking at files, reading and writing them through descriptors, with errors as
// exceptions. Source: man 2 open, read, write, close.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ch/hosted/stream.hpp"
#include "ch/io/failed.hpp"
#include "ch/io/text.hpp"
#include "ch/kernel/owned_fd.hpp"

namespace ch::io {

using Descriptor = kernel::OwnedFd;

/// What is opened where 0, 1 or 2 are closed gets their number, and is lost in a copy of this
/// process whose streams are put there.
using ch::detail::above_streams;

/// Status of what is open.
inline struct stat status_of(const Descriptor& fd, std::string_view path) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) throw_errno("look at", path);
  return status;
}

/// Status of `name` below `parent` itself, not of what a link there leads to. False if
/// there is nothing.
inline bool status_of(int parent, const char* name, struct stat& out) {
  if (::fstatat(parent, name, &out, AT_SYMLINK_NOFOLLOW) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  throw_errno("look at", name);
}
inline bool status_of(int parent, const std::string& name, struct stat& out) {
  return status_of(parent, name.c_str(), out);
}

/// Which file a name stands for: whoever may write its directory can put another one under the
/// name between two calls of ours, but not give it the first one's identity.
struct Identity {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const Identity&) const = default;
};
[[nodiscard]] inline Identity identity(const struct stat& status) noexcept {
  return {status.st_dev, status.st_ino};
}
/// Of `name` below `parent`, no link followed; none of any file if there is nothing.
[[nodiscard]] inline Identity identity(int parent, const std::string& name) {
  struct stat status {};
  return status_of(parent, name, status) ? identity(status) : Identity{};
}
/// Of what is open.
[[nodiscard]] inline Identity identity(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) throw_errno("look at", "an open file");
  return identity(status);
}

/// Fills `buffer` as far as the file goes; returns how far. Throws what man 2 read says.
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
      throw Failed(printable(path),
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

/// Closes a file that was written: on some file systems only this says that it could not be.
inline void close_written(Descriptor& fd, std::string_view path) {
  // After EINTR the descriptor is gone all the same, and the file is whole (man 2 close).
  if (fd && ::close(fd.release()) != 0 && errno != EINTR) throw_errno("write", path);
}

}  // namespace ch::io
