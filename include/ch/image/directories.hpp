// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. The directories of the image under construction, by descriptor. A member's
// parent is looked up once and then held, so that no path is walked from the root again.
// Each step down is an openat that follows no link; where a link stands in the way, only
// the one in-root resolver may say where it leads.
// Source: man 2 openat; kernel/in_root.hpp.
#pragma once

#include <map>
#include <unordered_map>
#include <unordered_set>

#include "ch/image/file_writers.hpp"
#include "ch/kernel/in_root.hpp"

namespace ch::images {

/// Where a member belongs. `through_link`: the same place has another name too, so what
/// we know by name about pending work does not hold.
struct Place {
  SharedDirectory directory;
  std::string name;
  enum class Reached { directly, through_link } reached = Reached::directly;
};

/// What a directory is to look like in the end; its members change the times until then.
struct DirectoryLook {
  mode_t mode = 0755;
  timespec modified{};
  bool needs_chmod = false;  // it did not come from our mkdir with this mode
  Owner owner{};
};

/// Opens and makes directories below one root. For the parser's thread.
class Directories {
 public:
  Directories(Descriptor root, FileWriters& writers)
      : root_(std::make_shared<OpenDirectory>(OpenDirectory{std::move(root)})), writers_(writers) {}

  [[nodiscard]] int root() const noexcept { return root_->fd.get(); }

  /// Where `path` (not the root) goes; makes parents that nobody announced, which get
  /// the time of the member that needed them.
  Place place(std::string_view path, const timespec& modified) {
    Place result;
    result.name = base_of(path);
    result.directory = open(parent_of(path), modified, result.reached);
    return result;
  }
  /// The directory at `path`, or none if there is nothing of the kind. Makes nothing.
  SharedDirectory find(const std::string& path) {
    if (const auto known = known_.find(path); known != known_.end()) return known->second;
    if (path.empty()) return root_;
    const auto opened = kernel::open_in_root(linux_, root_->fd.kernel_fd(), path.c_str(),
                                             kernel::o_rdonly | kernel::o_directory);
    if (opened.ok())
      return std::make_shared<OpenDirectory>(
          OpenDirectory{Descriptor(static_cast<int>(opened.value()))});
    if (opened.error() == kernel::Errno::enoent || opened.error() == kernel::Errno::enotdir ||
        opened.error() == kernel::Errno::eloop)
      return nullptr;
    throw_errno("open directory", path, static_cast<int>(opened.error()));
  }

  /// Notes how the directory at `path` is to look.
  void announce(const std::string& path, DirectoryLook look) { looks_[path] = look; }
  [[nodiscard]] bool announced(const std::string& path) const { return looks_.contains(path); }

  /// Notes that the current layer has something at `path`, pending or done. False if
  /// that was known.
  bool note(std::string_view path) { return seen_.insert(hash_(path)).second; }
  [[nodiscard]] bool noted(std::string_view path) const { return seen_.contains(hash_(path)); }

  /// What was at `path` and below is gone.
  void forget(const std::string& path) {
    if (path.empty()) return;
    known_.clear();
    last_ = nullptr;
    for (auto it = looks_.lower_bound(path); it != looks_.end() && it->first.starts_with(path);)
      it = it->first.size() == path.size() || it->first[path.size()] == '/' ? looks_.erase(it)
                                                                            : std::next(it);
  }
  void forget_replaced() {
    for (const std::string& path : writers_.take_replaced_directories()) forget(path);
  }
  /// From now on, what is there is of lower layers.
  void begin_layer() {
    writers_.drain();
    forget_replaced();
    seen_.clear();
    known_.clear();
    last_ = nullptr;
    lower_ = std::exchange(any_layer_, true);
  }

  /// Gives all directories their final mode and time. Those that a later layer replaced
  /// are no longer there, or no longer directories, and are passed over.
  void finish(ModeRules rules) {
    known_.clear();
    last_ = nullptr;
    for (auto it = looks_.rbegin(); it != looks_.rend(); ++it) {
      const auto& [path, look] = *it;
      const Descriptor fd = try_open_beneath(root(), path);
      if (!fd) {
        if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) continue;
        throw_errno("open directory", path);
      }
      give_away(fd.get(), "", look.owner, path);
      if ((look.needs_chmod || rules.needs_chmod(look.mode)) && ::fchmod(fd.get(), look.mode) != 0)
        throw_errno("set the mode of", path);
      const timespec times[2] = {look.modified, look.modified};
      if (::futimens(fd.get(), times) != 0) throw_errno("set the time of", path);
    }
  }

 private:
  static constexpr std::size_t held = 200;  // descriptors, of 1024 that a process has

  SharedDirectory open(std::string_view path, const timespec& modified, Place::Reached& reached) {
    if (path.empty()) return root_;
    if (last_ && path == last_path_) return last_;
    std::string key(path);
    SharedDirectory found;
    if (const auto known = known_.find(key); known != known_.end()) {
      found = known->second;
    } else {
      const SharedDirectory above = open(parent_of(path), modified, reached);
      found = step(*above, key, modified, reached);
      if (reached == Place::Reached::through_link) return found;  // another name: do not hold
      if (known_.size() >= held) known_.clear();
      known_.emplace(key, found);
      note(key);
    }
    last_path_ = std::move(key);
    last_ = found;
    return found;
  }

  /// From a directory to the one at `path` in it.
  SharedDirectory step(const OpenDirectory& above, const std::string& path,
                       const timespec& modified, Place::Reached& reached) {
    const std::string name(base_of(path));
    const int parent = above.fd.get();
    for (int tries = 0; tries < 4; ++tries) {
      Descriptor fd(
          ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (fd) return std::make_shared<OpenDirectory>(OpenDirectory{std::move(fd)});
      if (errno == ENOENT) {
        if (noted(path)) writers_.drain();  // a file of this name may be on its way
        if (::mkdirat(parent, name.c_str(), 0755) == 0)
          announce(path, {0755, modified});
        else if (errno != EEXIST)
          throw_errno("make directory", path);
        continue;
      }
      struct stat status {};
      if (errno != ENOTDIR && errno != ELOOP) throw_errno("open directory", path);
      if (!status_of(parent, name.c_str(), status)) continue;
      if (S_ISLNK(status.st_mode)) {
        reached = Place::Reached::through_link;
        if (SharedDirectory target = find(path)) return target;
        throw UnpackError(Failure::hostile, printable(path),
                          "a member lies below a link that leads to no directory in the image");
      }
      if (S_ISDIR(status.st_mode)) continue;
      if (noted(path) || !lower_)
        throw UnpackError(Failure::damaged, printable(path),
                          "this is a file, and yet members lie in it");
      if (::unlinkat(parent, name.c_str(), 0) != 0) throw_errno("replace", path);
    }
    throw UnpackError(Failure::system, printable(path), "another process changes the image");
  }

  kernel::Linux linux_;
  std::hash<std::string_view> hash_;
  SharedDirectory root_;
  FileWriters& writers_;
  std::unordered_map<std::string, SharedDirectory> known_;
  std::string last_path_;
  SharedDirectory last_;
  std::map<std::string, DirectoryLook> looks_;
  std::unordered_set<std::size_t> seen_;
  bool any_layer_ = false, lower_ = false;
};

}  // namespace ch::images
