// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. Creating, replacing and removing one name in an open directory. If the name is a link,
// it is not followed. Source: man 2 openat, renameat, symlinkat, unlinkat.
#pragma once

#include "ch/io/descriptor.hpp"

namespace ch::io {

/// Makes the file `name` in `directory`, which must not exist yet.
inline Descriptor create_file(int directory, const std::string& name, std::string_view path) {
  Descriptor fd(::openat(directory, name.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) throw_errno("make file", path);
  return fd;
}

/// A new file with this content, whatever the umask.
inline void write_file(std::string_view content, int directory, const std::string& name,
                       mode_t mode, std::string_view path) {
  Descriptor to = create_file(directory, name, path);
  write_all(to.get(), content, path);
  if (::fchmod(to.get(), mode) != 0) throw_errno("set the mode of", path);
  close_written(to, path);
}

inline void make_link(const std::string& target, int directory, const std::string& name,
                      std::string_view path) {
  if (::symlinkat(target.c_str(), directory, name.c_str()) != 0) throw_errno("make link", path);
}

/// The target of the link `name` in `directory`; empty if it is not a link or does not exist.
[[nodiscard]] inline std::string link_target(int directory, const std::string& name) {
  char buffer[4096];
  const ssize_t n = ::readlinkat(directory, name.c_str(), buffer, sizeof buffer);
  if (n < 0 && errno != EINVAL && errno != ENOENT) throw_errno("read link", name);
  return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : std::string();
}

/// Removes `name` from `directory`, as a directory with AT_REMOVEDIR, and says whether it is
/// gone; else errno says why. On a read-only file system unlinkat fails even if nothing is there.
[[nodiscard]] inline bool try_remove(int directory, const std::string& name, int flags) {
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
  if (!try_remove(directory, name, 0)) throw_errno("remove", path);
}

/// Atomically makes `name` a file with this content: writes `name`.new and renames it. If the
/// process dies in between, `name`.new is left, which the next call removes.
inline void replace_file(std::string_view content, int directory, const std::string& name,
                         mode_t mode, std::string_view path) {
  const std::string staged = name + ".new";
  remove_name(directory, staged, path);
  write_file(content, directory, staged, mode, path);
  if (::renameat(directory, staged.c_str(), directory, name.c_str()) != 0)
    throw_errno("write", path);
}

}  // namespace ch::io
