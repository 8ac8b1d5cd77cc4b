// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. Makes what ch-run needs in an image: its mount points and the folder /ch.
// An image's own links lead there (/etc/resolv.conf is one in most), so every look-up
// goes through the one in-root resolver, and what a dangling link names is made where
// the container would look for it. Peers that made these with mkdir -p wrote outside.
// Source: kernel/in_root.hpp.
#pragma once

#include "ch/image/member_path.hpp"
#include "ch/image/remove_tree.hpp"
#include "ch/kernel/in_root.hpp"

namespace ch::images {

enum class PointKind { directory, file };

struct MountPoint {
  const char* path;
  PointKind kind;
};
inline constexpr MountPoint mount_points[] = {
    {"dev", PointKind::directory},       {"proc", PointKind::directory},
    {"sys", PointKind::directory},       {"tmp", PointKind::directory},
    {"home", PointKind::directory},      {"etc", PointKind::directory},
    {"mnt/0", PointKind::directory},     {"mnt/1", PointKind::directory},
    {"mnt/2", PointKind::directory},     {"mnt/3", PointKind::directory},
    {"mnt/4", PointKind::directory},     {"mnt/5", PointKind::directory},
    {"mnt/6", PointKind::directory},     {"mnt/7", PointKind::directory},
    {"mnt/8", PointKind::directory},     {"mnt/9", PointKind::directory},
    {"etc/hosts", PointKind::file},      {"etc/resolv.conf", PointKind::file},
    {"etc/passwd", PointKind::file},     {"etc/group", PointKind::file},
    {"etc/machine-id", PointKind::file}, {"ch", PointKind::directory},
};

/// Opens `path` in the image as the container would, to be looked into (O_PATH for
/// other flags). None if nothing is there; throws for other failures.
inline Descriptor open_in_image(int root, const std::string& path, std::uint64_t flags) {
  kernel::Linux linux_kernel;
  const auto opened = kernel::open_in_root(linux_kernel, static_cast<kernel::Fd>(root),
                                           path.empty() ? "." : path.c_str(), flags);
  if (opened.ok()) return Descriptor(static_cast<int>(opened.value()));
  if (opened.error() == kernel::Errno::enoent) return {};
  throw_errno("look up", "/" + path, static_cast<int>(opened.error()));
}

/// What make_in_image did.
enum class Made { was_there, made, other_kind };

/// Paths that we made in an image, in order.
using MadePaths = std::vector<std::string>;

/// Where the link at `path` leads, as a path from the root; "" if there is none. Throws ENOENT
/// for a link whose last part is no name: what ".." elsewhere in it means, the resolver says.
inline std::string link_target(int root, const std::string& path) {
  const std::string above(parent_of(path));
  const Descriptor parent = open_in_image(root, above, kernel::o_rdonly | kernel::o_directory);
  if (!parent) throw_errno("open directory", "/" + above, ENOENT);
  std::string target(max_path + 1, '\0');
  const ssize_t length =
      ::readlinkat(parent.get(), std::string(base_of(path)).c_str(), target.data(), target.size());
  if (length <= 0) return {};
  target.resize(static_cast<std::size_t>(length));
  if (target.front() != '/') target.insert(0, above + '/');
  while (target.size() > 1 && target.back() == '/') target.pop_back();
  target.erase(0, target.find_first_not_of('/'));
  if (const auto base = base_of(target); base.empty() || base == "." || base == "..")
    throw_errno("follow the link at", "/" + path, ENOENT);
  return target;
}

/// Makes an empty file or directory in the directory of its name, which is there.
inline void make_point(int root, const std::string& path, PointKind kind) {
  const std::string name(base_of(path));
  const Descriptor parent =
      open_in_image(root, std::string(parent_of(path)), kernel::o_rdonly | kernel::o_directory);
  if (!parent) throw_errno("open directory above", "/" + path, ENOENT);
  if (kind == PointKind::directory) {
    if (::mkdirat(parent.get(), name.c_str(), 0755) != 0) throw_errno("make directory", "/" + path);
    const Descriptor directory = open_directory(parent.get(), name.c_str());
    if (::fchmod(directory.get(), 0755) != 0) throw_errno("set the mode of", "/" + path);
    return;
  }
  Descriptor file(::openat(parent.get(), name.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file) throw_errno("make file", "/" + path);
  if (::fchmod(file.get(), 0644) != 0) throw_errno("set the mode of", "/" + path);
  close_written(file, "/" + path);
}

/// Sees that `path` is there in the image, as a directory or an empty file, following
/// the image's own links. What is there stays, also of another kind; what is made, with
/// directories on the way, is noted in `made`.
/// Throws: ELOOP for links in a circle, ENOTDIR for a file on the way.
inline Made make_in_image(int root, std::string path, PointKind kind, MadePaths& made) {
  const auto look = [root](const std::string& at, PointKind wanted) {
    const Descriptor there = open_in_image(root, at, kernel::o_path);
    struct stat status {};
    if (there && ::fstat(there.get(), &status) != 0) throw_errno("look at", "/" + at);
    if (!there) return Made::made;
    return S_ISDIR(status.st_mode) == (wanted == PointKind::directory) ? Made::was_there
                                                                       : Made::other_kind;
  };
  if (const Made there = look(path, kind); there != Made::made) return there;
  int links_left = 40;
  for (std::size_t end = 0; end != path.size();) {
    end = std::min(path.find('/', end == 0 ? 0 : end + 1), path.size());
    const std::string here = path.substr(0, end);
    const PointKind wanted = end == path.size() ? kind : PointKind::directory;
    const Made there = look(here, wanted);
    if (there == Made::other_kind && end == path.size()) return there;
    if (there == Made::other_kind) throw_errno("make directory", "/" + path, ENOTDIR);
    if (there == Made::was_there) continue;
    if (const std::string target = link_target(root, here); !target.empty()) {
      // A link that leads to nothing: what it names takes its place in the path.
      if (links_left-- == 0) throw_errno("follow links at", "/" + here, ELOOP);
      path = target + path.substr(end);
      end = 0;
      continue;
    }
    make_point(root, here, wanted);
    made.push_back(here);
  }
  return Made::made;
}

/// All mount points. Answers the paths where the image has something that can't be one:
/// of another kind, or links in a circle. Who needs these will hear of it from ch-run.
inline std::vector<std::string> make_mount_points(int root, MadePaths& made) {
  std::vector<std::string> odd;
  for (const MountPoint& point : mount_points) {
    const std::string path = std::string("/") + point.path;
    try {
      if (make_in_image(root, point.path, point.kind, made) == Made::other_kind)
        odd.push_back(path);
    } catch (const UnpackError& e) {
      if (e.code() != ELOOP && e.code() != ENOTDIR && e.code() != ENOENT &&
          e.code() != ENAMETOOLONG)
        throw;
      odd.push_back(path);
    }
  }
  return odd;
}

/// Dates what we made at the Epoch, so that an archive gives the same tree every time.
inline void date_made(int root, const MadePaths& made) {
  const timespec epoch[2] = {};
  for (auto path = made.rbegin(); path != made.rend(); ++path) {
    const Descriptor parent =
        open_in_image(root, std::string(parent_of(*path)), kernel::o_rdonly | kernel::o_directory);
    if (parent && ::utimensat(parent.get(), std::string(base_of(*path)).c_str(), epoch,
                              AT_SYMLINK_NOFOLLOW) != 0)
      throw_errno("set the time of", "/" + *path);
  }
}

/// Replaces the regular file /ch/NAME in the image. Whatever had that name goes, so a
/// link there is never followed.
inline void write_ch_file(int root, const std::string& name, std::string_view content,
                          MadePaths& made) {
  const Descriptor directory = open_in_image(root, "ch", kernel::o_rdonly | kernel::o_directory);
  if (!directory) throw_errno("open directory", "/ch", ENOENT);
  remove_tree(directory.get(), name);
  Descriptor file(::openat(directory.get(), name.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file) throw_errno("make file", "/ch/" + name);
  write_all(file.get(), content.data(), content.size(), 0, "/ch/" + name);
  if (::fchmod(file.get(), 0644) != 0) throw_errno("set the mode of", "/ch/" + name);
  close_written(file, "/ch/" + name);
  made.push_back("ch/" + name);
}

/// Empties the image's own top-level dev: ch-run mounts the host's there. Only a real
/// directory; a link named dev is left alone.
inline void empty_dev(int root) {
  struct stat status {};
  if (!status_of(root, "dev", status) || !S_ISDIR(status.st_mode)) return;
  const Descriptor dev = open_directory(root, "dev");
  for (const std::string& name : names_in(dev.get())) remove_tree(dev.get(), name);
}

}  // namespace ch::images
