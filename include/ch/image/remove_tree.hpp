// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Deletes a directory tree without ever following a link or leaving its file
// system. Directories without the necessary permissions are made writable first, since images have
// read-only ones. Needs only a handful of descriptors, no recursion and no path longer than one
// name, however deep the tree is.
// Source: man 2 unlinkat, openat.
#pragma once

#include "ch/image/descent.hpp"
#include "ch/io/directory.hpp"

namespace ch::images {

namespace detail {

/// Deletes one directory tree.
class TreeRemoval {
 public:
  TreeRemoval(int parent, const std::string& name) : at_(parent) {
    struct stat top {};
    if (::fstatat(parent, name.c_str(), &top, AT_SYMLINK_NOFOLLOW) != 0)
      io::throw_errno("look at", name);
    device_ = top.st_dev;
    enter(name);
  }
  void run() {
    while (!levels_.empty()) {
      Level& level = levels_.back();
      if (level.left.empty() && !level.all) scan(level);
      if (level.left.empty()) {
        leave();
        continue;
      }
      const std::string child = std::move(level.left.back());
      level.left.pop_back();
      --noted_;
      enter(child);
    }
  }

 private:
  struct Level {
    std::string name;
    std::vector<std::string> left;  // subdirectories, some of them or all
    bool all = false;
    int times_not_empty = 0;
  };
  // The number of directories noted in one level, and in all levels. They bound the memory for any
  // tree.
  static constexpr std::size_t few = 32, many = 16384;

  void enter(const std::string& child) {
    const int above = at_.fd();
    io::Descriptor fd(open(above, child));
    if (!fd && errno == EACCES) {  // ours, but without permission: change its mode, by descriptor
      const io::Descriptor path(
          ::openat(above, child.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      const std::string again = "/proc/self/fd/" + std::to_string(path.get());
      if (path && ::chmod(again.c_str(), 0700) == 0) fd = open(above, child);
    }
    if (!fd && errno == ENOENT) return;
    if (!fd) fail("open directory", child);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) fail("look at", child);
    if (status.st_dev != device_) fail("remove", child, EXDEV);
    if ((status.st_mode & 0700) != 0700) (void)::fchmod(fd.get(), 0700);
    at_.enter(std::move(fd));
    levels_.push_back({child, {}});
  }
  static io::Descriptor open(int above, const std::string& name) {
    return io::Descriptor(
        ::openat(above, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  /// Deletes everything but directories, and notes directories, as many as fit.
  void scan(Level& level) {
    level.all = true;
    io::each_entry(at_.fd(), [&](const dirent& entry) {
      if (entry.d_type != DT_DIR && removed(entry.d_name)) return true;
      if (level.left.size() >= few && noted_ >= many) {
        level.all = false;
        return false;
      }
      level.left.emplace_back(entry.d_name);
      ++noted_;
      return true;
    });
  }
  /// False if it is a directory.
  bool removed(const char* name) {
    if (::unlinkat(at_.fd(), name, 0) == 0 || errno == ENOENT) return true;
    const int why = errno;
    struct stat status {};
    if (why == EISDIR) return false;
    if (why == EPERM && io::status_of(at_.fd(), name, status) && S_ISDIR(status.st_mode))
      return false;
    fail("remove", name, why);
  }
  /// Leaves the current directory, which is empty, and removes it.
  void leave() {
    const Level done = std::move(levels_.back());
    levels_.pop_back();
    at_.leave([&] { return path_of(done.name); });
    if (::unlinkat(at_.fd(), done.name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return;
    // Some file systems skip entries if others are deleted meanwhile: look again.
    if ((errno != ENOTEMPTY && errno != EEXIST) || done.times_not_empty == 16)
      fail("remove directory", done.name);
    const std::size_t depth = levels_.size();
    enter(done.name);
    if (levels_.size() > depth) levels_.back().times_not_empty = done.times_not_empty + 1;
  }
  [[nodiscard]] std::string path_of(const std::string& name) const {
    std::string path;
    for (const Level& level : levels_) {
      path += level.name + '/';
      if (path.size() > 200) return path + ".../" + name;
    }
    return path + name;
  }
  [[noreturn]] void fail(std::string_view attempt, const std::string& name, int why = errno) const {
    io::throw_errno(attempt, path_of(name), why);
  }

  dev_t device_ = 0;
  Descent at_;  // in the directory of the last level
  std::vector<Level> levels_;
  std::size_t noted_ = 0;
};

}  // namespace detail

/// Deletes `name` below `parent`, whatever it is; it need not exist. Throws what man 2 unlinkat
/// says, EXDEV where another file system is mounted inside, and ESTALE if directories are moved out
/// of the tree meanwhile. Allocates in proportion to the tree's depth.
inline void remove_tree(int parent, const std::string& name) {
  if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return;
  const int why = errno;
  if (why != EISDIR && why != EPERM && why != EACCES) io::throw_errno("remove", name);
  struct stat top {};
  if (!io::status_of(parent, name.c_str(), top)) return;
  if (!S_ISDIR(top.st_mode)) io::throw_errno("remove", name, why);
  detail::TreeRemoval(parent, name).run();
}

}  // namespace ch::images
