// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. Deletes a directory tree without ever following a link or leaving its file
// system. Directories that refuse are made writable first, since images have read-only
// ones. Depth is bounded by memory, not by the stack or by PATH_MAX.
// Source: man 2 unlinkat, openat; man 3 fdopendir.
#pragma once

#include <dirent.h>

#include <vector>

#include "ch/image/descriptor.hpp"

namespace ch::images {

/// Names in the directory `fd`, without "." and "..".
inline std::vector<std::string> names_in(int fd) {
  std::vector<std::string> names;
  const int copy = ::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) throw_errno("read directory", ".");
  DIR* stream = ::fdopendir(copy);
  if (stream == nullptr) {
    ::close(copy);
    throw_errno("read directory", ".");
  }
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  const int why = errno;  // a list cut by an error must not pass for the whole
  ::closedir(stream);
  if (why != 0) throw_errno("read directory", ".", why);
  return names;
}

/// Deletes `name` below `parent`, whatever it is; nothing there is fine. Throws what man
/// 2 unlinkat says, and EXDEV where another file system is mounted inside.
inline void remove_tree(int parent, const std::string& name) {
  if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return;
  if (errno != EISDIR && errno != EPERM && errno != EACCES) throw_errno("remove", name);
  struct stat top {};
  if (!status_of(parent, name.c_str(), top)) return;
  if (!S_ISDIR(top.st_mode)) throw_errno("remove", name, EACCES);

  struct Level {
    Descriptor fd;
    std::string name;
    std::vector<std::string> left;
  };
  const auto enter = [&top](int above, const std::string& child) {
    Descriptor fd(::openat(above, child.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd && errno == EACCES) {  // it is ours but closed: open it up, by descriptor
      Descriptor path(
          ::openat(above, child.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      const std::string again = "/proc/self/fd/" + std::to_string(path.get());
      if (path && ::chmod(again.c_str(), 0700) == 0)
        fd = Descriptor(
            ::openat(above, child.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    }
    if (!fd) throw_errno("open directory", child);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) throw_errno("look at", child);
    if (status.st_dev != top.st_dev) throw_errno("remove", child, EXDEV);
    if ((status.st_mode & 0700) != 0700) (void)::fchmod(fd.get(), 0700);
    std::vector<std::string> names = names_in(fd.get());
    return Level{std::move(fd), child, std::move(names)};
  };

  std::vector<Level> levels;
  levels.push_back(enter(parent, name));
  while (!levels.empty()) {
    Level& level = levels.back();
    if (level.left.empty()) {
      const std::string done = level.name;
      levels.pop_back();
      const int above = levels.empty() ? parent : levels.back().fd.get();
      if (::unlinkat(above, done.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
        throw_errno("remove directory", done);
      continue;
    }
    const std::string child = std::move(level.left.back());
    level.left.pop_back();
    if (::unlinkat(level.fd.get(), child.c_str(), 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) throw_errno("remove", child);
    levels.push_back(enter(level.fd.get(), child));
  }
}

}  // namespace ch::images
