// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. Inspecting, reading and writing files through descriptors, with errors as exceptions.
// Source: man 2 open, read, write, close.
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

/// If 0, 1 or 2 is closed, a new descriptor gets that number, and would be lost in a copy of this
/// process that puts its streams there.
using ch::detail::above_streams;

/// The status of an open file.
inline struct stat status_of(const Descriptor& fd, std::string_view path) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) throw_errno("look at", path);
  return status;
}

/// The status of `name` in `parent`; a link is not followed. False if nothing is there.
inline bool status_of(int parent, const char* name, struct stat& out) {
  if (::fstatat(parent, name, &out, AT_SYMLINK_NOFOLLOW) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  throw_errno("look at", name);
}
inline bool status_of(int parent, const std::string& name, struct stat& out) {
  return status_of(parent, name.c_str(), out);
}

/// Which file a name stands for: whoever may write to its directory can put another file under the
/// name between two calls of ours, but can't give it the same identity.
struct Identity {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const Identity&) const = default;
};
[[nodiscard]] inline Identity identity(const struct stat& status) noexcept {
  return {status.st_dev, status.st_ino};
}
/// Of `name` in `parent`, no link followed. If nothing is there, an identity that no file has.
[[nodiscard]] inline Identity identity(int parent, const std::string& name) {
  struct stat status {};
  return status_of(parent, name, status) ? identity(status) : Identity{};
}
/// Of an open file.
[[nodiscard]] inline Identity identity(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) throw_errno("look at", "an open file");
  return identity(status);
}

/// Reads until `buffer` is full or the file ends; returns how many bytes. Throws what man 2 read
/// says.
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

/// Reads to the end of the file. More than `limit` bytes are an error.
inline std::string read_all(int fd, std::string_view path,
                            std::size_t limit = std::size_t{64} << 20) {
  constexpr std::size_t piece = std::size_t{16} * 1024;
  std::string text;
  for (;;) {
    const std::size_t before = text.size();
    text.resize(before + piece);  // not on the stack, which may be no larger than this
    const std::size_t n = read_some(fd, text.data() + before, piece, path);
    text.resize(before + n);
    if (text.size() > limit)
      throw Failed(printable(path),
                   "this is longer than " + std::to_string(limit) +
                       " bytes, the most that is read of such a file",
                   "check that it is the right file, or split it");
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

/// Closes a file that was written: some file systems report write errors only here.
inline void close_written(Descriptor& fd, std::string_view path) {
  // After EINTR the descriptor is closed all the same, and the data are written (man 2 close).
  if (fd && ::close(fd.release()) != 0 && errno != EINTR) throw_errno("write", path);
}

}  // namespace ch::io
