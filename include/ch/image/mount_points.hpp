// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Makes what ch-run needs in an image: its mount points and the directory /ch. Not by
// plain mkdir -p, which would follow the image's links to the outside. Source: io/in_image.hpp.
#pragma once

#include "ch/image/member_path.hpp"
#include "ch/image/remove_tree.hpp"
#include "ch/io/file.hpp"
#include "ch/io/in_image.hpp"

namespace ch::images {

struct MountPoint {
  using Kind = kernel::MountPoint;
  const char* path;
  Kind kind;
};
inline constexpr MountPoint mount_points[] = {
    {"dev", MountPoint::Kind::directory},       {"proc", MountPoint::Kind::directory},
    {"sys", MountPoint::Kind::directory},       {"tmp", MountPoint::Kind::directory},
    {"home", MountPoint::Kind::directory},      {"etc", MountPoint::Kind::directory},
    {"mnt/0", MountPoint::Kind::directory},     {"mnt/1", MountPoint::Kind::directory},
    {"mnt/2", MountPoint::Kind::directory},     {"mnt/3", MountPoint::Kind::directory},
    {"mnt/4", MountPoint::Kind::directory},     {"mnt/5", MountPoint::Kind::directory},
    {"mnt/6", MountPoint::Kind::directory},     {"mnt/7", MountPoint::Kind::directory},
    {"mnt/8", MountPoint::Kind::directory},     {"mnt/9", MountPoint::Kind::directory},
    {"etc/hosts", MountPoint::Kind::file},      {"etc/resolv.conf", MountPoint::Kind::file},
    {"etc/passwd", MountPoint::Kind::file},     {"etc/group", MountPoint::Kind::file},
    {"etc/machine-id", MountPoint::Kind::file}, {"ch", MountPoint::Kind::directory},
};

/// All mount points. Returns the paths where the image has something that can't be one:
/// something of another kind, or circular links. ch-run will report these if it needs them.
inline std::vector<std::string> make_mount_points(int root, io::MadePaths& made) {
  std::vector<std::string> odd;
  for (const MountPoint& point : mount_points) {
    const std::string path = std::string("/") + point.path;
    try {
      if (io::make_in_image(root, path, point.kind, made) == io::Made::other_kind)
        odd.push_back(path);
    } catch (const io::Failed& e) {
      if (e.code() != ELOOP && e.code() != ENOTDIR && e.code() != ENOENT &&
          e.code() != ENAMETOOLONG)
        throw;
      odd.push_back(path);
    }
  }
  return odd;
}

/// Sets the times of what we made to the Epoch, so that an archive always gives the same tree.
inline void date_made(int root, const io::MadePaths& made) {
  const timespec epoch[2] = {};
  for (auto path = made.rbegin(); path != made.rend(); ++path) {
    const io::Descriptor parent =
        io::open_in_image(root, std::string(io::parent_of(*path)), kernel::o_path);
    if (parent && ::utimensat(parent.get(), std::string(io::base_of(*path)).c_str(), epoch,
                              AT_SYMLINK_NOFOLLOW) != 0)
      io::throw_errno("set the time of", *path);
  }
}

/// Replaces the regular file /ch/NAME in the image. Removes whatever had that name, so a link there
/// is never followed.
inline void write_ch_file(int root, const std::string& name, std::string_view content,
                          io::MadePaths& made) {
  const io::Descriptor directory =
      io::open_in_image(root, "ch", kernel::o_rdonly | kernel::o_directory);
  if (!directory) io::throw_errno("open directory", "/ch");
  remove_tree(directory.get(), name);
  io::write_file(content, directory.get(), name, 0644, "/ch/" + name);
  made.push_back("/ch/" + name);
}

/// Empties the image's own /dev, on which ch-run mounts the host's. Only a real directory; a link
/// named dev is left alone.
inline void empty_dev(int root) {
  struct stat status {};
  if (!io::status_of(root, "dev", status) || !S_ISDIR(status.st_mode)) return;
  const io::Descriptor dev = io::open_directory(root, "dev");
  for (const std::string& name : io::names_in(dev.get())) remove_tree(dev.get(), name);
}

}  // namespace ch::images
