// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. The entries of an open directory. Source: man 3 readdir.
#pragma once

#include <dirent.h>

#include <memory>
#include <vector>

#include "ch/io/descriptor.hpp"

namespace ch::io {

/// Opens the directory `name` below `parent`, following no link in the last component.
/// Throws ENOENT, ENOTDIR (also for a link), EACCES.
inline Descriptor open_directory(int parent, const char* name) {
  Descriptor fd = above_streams(
      Descriptor(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)));
  if (!fd) throw_errno("open directory", name);
  return fd;
}

/// Calls `visit(const dirent&)` for each entry of the directory `fd` but "." and "..", until
/// it returns false. Throws what man 3 readdir says: a list truncated by an error must not pass for
/// the whole. `path` is for messages.
template <class Visit>
void each_entry(int fd, Visit&& visit, std::string_view path = ".") {
  struct Close {
    void operator()(DIR* stream) const noexcept { ::closedir(stream); }
  };
  Descriptor copy(::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!copy) throw_errno("read directory", path);
  const std::unique_ptr<DIR, Close> stream(::fdopendir(copy.get()));
  if (!stream) throw_errno("read directory", path);
  (void)copy.release();
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr && errno != 0) throw_errno("read directory", path);
    if (entry == nullptr) return;
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && !visit(*entry)) return;
  }
}

/// Names in the directory `fd`, without "." and "..".
inline std::vector<std::string> names_in(int fd, std::string_view path = ".") {
  std::vector<std::string> names;
  each_entry(
      fd,
      [&names](const dirent& entry) {
        names.emplace_back(entry.d_name);
        return true;
      },
      path);
  return names;
}

[[nodiscard]] inline bool is_empty(int fd) {
  bool empty = true;
  each_entry(fd, [&empty](const dirent&) { return empty = false; });
  return empty;
}

/// The descriptors above 2 that a program started now would inherit: those that this process itself
/// inherited, such as a shell's <(...). None if there is no /proc.
[[nodiscard]] inline std::vector<int> inherited_descriptors() {
  std::vector<int> all;
  const Descriptor open(::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!open) return all;
  for (const std::string& name : names_in(open.get(), "/proc/self/fd")) {
    const int fd = std::atoi(name.c_str());
    const int flags = fd > 2 ? ::fcntl(fd, F_GETFD) : -1;
    if (flags != -1 && (flags & FD_CLOEXEC) == 0) all.push_back(fd);
  }
  return all;
}

}  // namespace ch::io
