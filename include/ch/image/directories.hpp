// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. The directories of the image under construction, by descriptor. A member's parent is
// looked up once and then held open, so that paths are not walked from the root again; but never
// more of them than the descriptor limit allows, however deep or wide the tree is. Each step down
// is an openat that follows no link; if there is a link, only the one in-root resolver may resolve
// it.
// Source: man 2 openat; kernel/in_root.hpp.
#pragma once

#include <functional>
#include <unordered_map>

#include "ch/image/descent.hpp"
#include "ch/image/directory_table.hpp"
#include "ch/image/file_writers.hpp"
#include "ch/image/hash_set.hpp"
#include "ch/kernel/in_root.hpp"

namespace ch::images {

/// Where a member goes. `through_link`: the place also has another name, so what we know by name
/// about pending work does not apply.
struct Place {
  SharedDirectory directory;
  std::string name;
  enum class Reached { directly, through_link } reached = Reached::directly;
};

/// Opens and makes directories below one root. For the parser's thread.
class Directories {
 public:
  Directories(io::Descriptor root, FileWriters& writers)
      : writers_(writers), root_(hold(std::move(root))) {}

  [[nodiscard]] int root() const noexcept { return root_->fd.get(); }

  /// Where `path` (not the root) goes; makes parents that were not announced, which get the time of
  /// the member that needed them.
  Place place(std::string_view path, const timespec& modified) {
    Place result;
    result.name = io::base_of(path);
    result.directory = open(io::parent_of(path), modified, result.reached);
    return result;
  }
  /// The directory at `path`, or null if there is no such directory. Creates nothing.
  SharedDirectory find(const std::string& path) {
    if (const auto known = known_.find(path); known != known_.end()) return known->second;
    if (path.empty()) return root_;
    const auto opened = kernel::open_in_root(linux_, root_->fd.kernel_fd(), path.c_str(),
                                             kernel::o_rdonly | kernel::o_directory);
    if (opened.ok()) return hold(io::Descriptor(static_cast<int>(opened.value())));
    if (opened.error() == kernel::Errno::enoent || opened.error() == kernel::Errno::enotdir ||
        opened.error() == kernel::Errno::eloop)
      return nullptr;
    // Without openat2 the resolver limits path lengths; a path without links can be opened all the
    // same.
    if (opened.error() == kernel::Errno::enametoolong)
      if (io::Descriptor plain = try_open_beneath(root(), path)) return hold(std::move(plain));
    io::throw_errno("open directory", path, static_cast<int>(opened.error()));
  }

  /// Notes the final attributes of the directory at `path`.
  void announce(std::string_view path, const DirectoryAttributes& attributes) {
    attributes_.announce(path, attributes);
  }
  [[nodiscard]] bool announced(std::string_view path) const { return attributes_.announced(path); }

  /// Notes that the current layer has something at `path`, pending or done. False if that was noted
  /// before.
  bool note(std::string_view path) { return seen_.insert(hash_(path)); }
  [[nodiscard]] bool noted(std::string_view path) const { return seen_.contains(hash_(path)); }

  /// What was at `path` and below is gone.
  void forget(std::string_view path) {
    let_go();
    attributes_.forget(path);
  }
  void forget_replaced() {
    for (const std::string& path : writers_.take_replaced_directories()) forget(path);
  }
  /// Everything that exists now belongs to lower layers.
  void begin_layer() {
    writers_.drain();
    forget_replaced();
    seen_.clear();
    let_go();
    lower_ = std::exchange(any_layer_, true);
  }

  /// Gives all directories their final mode and time. Those that a later layer replaced no longer
  /// exist or are no longer directories, and are skipped.
  void finish(ModeRules rules) {
    let_go();
    Descent at(root());
    attributes_.walk(
        [&at](const std::string& name, const auto& path) {
          io::Descriptor fd(
              ::openat(at.fd(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
          if (!fd && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
            io::throw_errno("open directory", path());
          if (!fd) return false;
          at.enter(std::move(fd));
          return true;
        },
        [&at, &rules](const DirectoryAttributes* attributes, const auto& path) {
          if (attributes != nullptr) apply_attributes(at.fd(), *attributes, rules, path);
          if (!at.at_top()) at.leave(path);
        });
  }

 private:
  template <class Path>
  static void apply_attributes(int fd, const DirectoryAttributes& attributes, ModeRules rules,
                               const Path& path) {
    if (attributes.owner.user != Owner{}.user || attributes.owner.group != Owner{}.group)
      change_owner(fd, "", attributes.owner, path());
    if ((attributes.needs_chmod || rules.needs_chmod(attributes.mode)) &&
        ::fchmod(fd, attributes.mode) != 0)
      io::throw_errno("set the mode of", path());
    const timespec times[2] = {attributes.modified, attributes.modified};
    if (::futimens(fd, times) != 0) io::throw_errno("set the time of", path());
  }

  SharedDirectory hold(io::Descriptor fd) {
    return std::make_shared<OpenDirectory>(std::move(fd), writers_.open_directories());
  }
  void let_go() {
    known_.clear();
    last_ = nullptr;
  }
  /// Pending files hold their directories open, too.
  void make_room() {
    if (writers_.open_directories() < held_) return;
    let_go();
    if (writers_.open_directories() >= held_) writers_.drain();
  }

  SharedDirectory open(std::string_view path, const timespec& modified, Place::Reached& reached) {
    if (path.empty()) return root_;
    if (last_ && path == last_path_) return last_;
    make_room();
    // Down from the deepest ancestor that we hold open.
    SharedDirectory at = root_;
    std::size_t end = path.size();
    for (; end != 0; end = io::parent_of(path.substr(0, end)).size())
      if (const auto known = known_.find(path.substr(0, end)); known != known_.end()) {
        at = known->second;
        break;
      }
    while (end != path.size()) {
      end = std::min(path.find('/', end == 0 ? 0 : end + 1), path.size());
      const std::string_view here = path.substr(0, end);
      at = step(*at, here, modified, reached);
      if (reached == Place::Reached::through_link) continue;  // has another name: do not keep it
      if (known_.size() >= held_) known_.clear();
      known_.emplace(here, at);
      note(here);
    }
    if (reached == Place::Reached::through_link) return at;
    last_path_ = path;
    last_ = at;
    return at;
  }

  /// From a directory to the one at `path` in it.
  SharedDirectory step(const OpenDirectory& above, std::string_view path, const timespec& modified,
                       Place::Reached& reached) {
    const std::string name(io::base_of(path));
    const int parent = above.fd.get();
    for (int tries = 0; tries < 4; ++tries) {
      io::Descriptor fd(
          ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (fd) return hold(std::move(fd));
      if (errno == ENOENT) {
        if (noted(path)) writers_.drain();  // a file of this name may be pending
        if (::mkdirat(parent, name.c_str(), 0755) == 0)
          announce(path, {0755, modified});
        else if (errno != EEXIST)
          io::throw_errno("make directory", path);
        continue;
      }
      struct stat status {};
      if (errno != ENOTDIR && errno != ELOOP) io::throw_errno("open directory", path);
      if (!io::status_of(parent, name.c_str(), status)) continue;
      if (S_ISLNK(status.st_mode)) {
        reached = Place::Reached::through_link;
        if (SharedDirectory target = find(std::string(path))) return target;
        throw io::Failed(
            io::Reason::hostile, printable(path),
            "a member lies below a link that does not lead to a directory in the image");
      }
      if (S_ISDIR(status.st_mode)) continue;
      if (noted(path) || !lower_)
        throw io::Failed(io::Reason::damaged, printable(path),
                         "this is a file, but other members lie below it");
      if (::unlinkat(parent, name.c_str(), 0) != 0) io::throw_errno("replace", path);
    }
    throw io::Failed(io::Reason::system, printable(path), "another process is changing the image");
  }

  /// Allows lookup by std::string_view.
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  kernel::Linux linux_;
  Hash hash_;
  FileWriters& writers_;
  const unsigned held_ = descriptors_to_hold(200, 4);
  SharedDirectory root_;
  std::unordered_map<std::string, SharedDirectory, Hash, std::equal_to<>> known_;
  std::string last_path_;
  SharedDirectory last_;
  DirectoryTable attributes_;
  HashSet seen_;
  bool any_layer_ = false, lower_ = false;
};

}  // namespace ch::images
