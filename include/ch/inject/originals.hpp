// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. Setting an original aside, and putting it back. A kept file is always complete: it is
// created by a hard link, a rename, or the rename of a finished copy, so it is never a partial
// file, whatever fails.
// Source: man 2 linkat, renameat, fsync, fgetxattr, fchown.
#pragma once

#include <sys/xattr.h>

#include "ch/inject/file_copy.hpp"

namespace ch::injection {

/// A name in an open directory.
struct Place {
  int directory = -1;
  std::string name;
};

/// The name of a copy among the kept files until it is complete.
[[nodiscard]] inline std::string unfinished(const std::string& name) { return name + ".new"; }

/// Gives `to` the extended attributes of `from`: user.* and ACLs must be copied, others
/// (security.*, lustre.*) only if the file system allows it.
inline void copy_attributes(int from, int to, std::string_view path) {
  std::string names;
  for (;;) {
    const ssize_t size = ::flistxattr(from, nullptr, 0);
    if (size == 0 || (size < 0 && errno == EOPNOTSUPP)) return;
    if (size < 0) io::throw_errno("read the attributes of", path);
    names.resize(static_cast<std::size_t>(size));
    const ssize_t got = ::flistxattr(from, names.data(), names.size());
    if (got < 0 && errno == ERANGE) continue;  // there are more attributes now
    if (got < 0) io::throw_errno("read the attributes of", path);
    names.resize(static_cast<std::size_t>(got));
    break;
  }
  std::string value;
  for (std::size_t at = 0; at < names.size(); at += std::strlen(names.c_str() + at) + 1) {
    const char* name = names.c_str() + at;
    value.resize(std::size_t{64} * 1024);  // XATTR_SIZE_MAX
    const ssize_t size = ::fgetxattr(from, name, value.data(), value.size());
    if (size < 0 && (errno == ENODATA || errno == EPERM || errno == EACCES)) continue;
    if (size < 0) io::throw_errno("read the attributes of", path);
    const std::string_view kind = name;
    if (::fsetxattr(to, name, value.data(), static_cast<std::size_t>(size), 0) != 0 &&
        (kind.starts_with("user.") || kind.starts_with("system.posix_acl_")))
      io::throw_errno("set the attributes of", path);
  }
}

/// Makes `to` the same as `from` in everything but its inode. The copy is made beside it as
/// `staged`, and replaces `to` once it is complete and on the disk.
inline void copy_original(const Place& from, const Place& to, const std::string& staged,
                          std::string_view path) {
  io::remove_name(to.directory, staged, path);
  if (const std::string target = io::link_target(from.directory, from.name); !target.empty()) {
    io::make_link(target, to.directory, staged, path);
  } else {
    const io::Descriptor file(::openat(from.directory, from.name.c_str(),
                                       O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file) io::throw_errno("read", path);
    const struct stat status = io::status_of(file, path);
    if (!S_ISREG(status.st_mode))
      throw io::Failed(io::printable(path), "this is not a regular file, so it can't be set aside",
                       "remove it from the image first");
    io::Descriptor copy = io::create_file(to.directory, staged, path);
    copy_bytes(file.get(), copy.get(), path);
    const struct stat made = io::status_of(copy, path);
    if (made.st_size != status.st_size)
      throw io::Failed(io::printable(path), "this file changed while it was read",
                       "wait until nothing writes to it any more");
    if ((made.st_uid != status.st_uid || made.st_gid != status.st_gid) &&
        ::fchown(copy.get(), status.st_uid, status.st_gid) != 0)
      io::throw_errno("keep the owner of", path);
    copy_attributes(file.get(), copy.get(), path);
    if (::fchmod(copy.get(), status.st_mode & 07777) != 0) io::throw_errno("set the mode of", path);
    const timespec times[2] = {status.st_atim, status.st_mtim};
    if (::futimens(copy.get(), times) != 0) io::throw_errno("set the time of", path);
    // EINVAL: a file system that does not support fsync.
    if (::fsync(copy.get()) != 0 && errno != EINVAL) io::throw_errno("write", path);
    io::close_written(copy, path);
  }
  if (::renameat(to.directory, staged.c_str(), to.directory, to.name.c_str()) != 0)
    io::throw_errno("keep", path);
}

/// Moves `from` to `to`, replacing what is there; by a copy, named `staged` until it is complete,
/// if rename can't. If both are names of one file, only `to` remains.
inline void move_original(const Place& from, const Place& to, const std::string& staged,
                          std::string_view path) {
  if (::renameat(from.directory, from.name.c_str(), to.directory, to.name.c_str()) != 0) {
    if (errno != EXDEV) io::throw_errno("put back", path);
    copy_original(from, to, staged, path);
  }
  io::remove_name(from.directory, from.name,
                  path);  // rename does nothing if both are the same file
}

/// Is the original that was set aside as `kept` still, or again, at `place`, possibly as another
/// inode? Then that one is to be kept: it has all its hard links.
[[nodiscard]] inline bool is_same_original(const Place& place, const Place& kept,
                                           std::string_view path) {
  struct stat a {
  }, b{};
  if (!io::status_of(place.directory, place.name, a) ||
      !io::status_of(kept.directory, kept.name, b) || !S_ISREG(a.st_mode) ||
      a.st_mode != b.st_mode || a.st_uid != b.st_uid || a.st_gid != b.st_gid ||
      a.st_size != b.st_size || a.st_mtim.tv_sec != b.st_mtim.tv_sec ||
      a.st_mtim.tv_nsec != b.st_mtim.tv_nsec)
    return false;
  if (a.st_dev == b.st_dev && a.st_ino == b.st_ino) return true;
  const auto open = [](const Place& p) {
    return io::Descriptor(
        ::openat(p.directory, p.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  };
  const io::Descriptor one = open(place);
  const io::Descriptor other = open(kept);
  return one && other && same_bytes(one.get(), other.get(), path);
}

/// How to set an original aside. `shared`: by a hard link, or else by moving it, so that for a
/// moment its name is unused. `fresh`: always as a copy, since the file itself may be written to.
enum class Keep { shared, fresh };
inline void keep_original(const Place& from, const Place& to, std::string_view path, Keep how) {
  if (how == Keep::shared) {
    if (::linkat(from.directory, from.name.c_str(), to.directory, to.name.c_str(), 0) == 0) return;
    const bool can_be_moved = errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS ||
                              errno == EMLINK || errno == EXDEV || errno == EACCES;
    if (!can_be_moved) io::throw_errno("keep the original of", path);
    if (::renameat(from.directory, from.name.c_str(), to.directory, to.name.c_str()) == 0) return;
    if (errno != EXDEV) io::throw_errno("keep the original of", path);
  }
  copy_original(from, to, unfinished(to.name), path);
}

}  // namespace ch::injection
