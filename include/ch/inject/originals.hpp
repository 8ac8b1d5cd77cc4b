// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. Setting an original aside, and putting it back. A name among what is kept means
// that all of the original is there: it comes about by a hard link or a rename, or by the
// rename of a copy that was finished first, and never holds a part of a file, whatever fails.
// Source: man 2 linkat, renameat, fsync, fgetxattr, fchown.
#pragma once

#include <sys/xattr.h>

#include "ch/inject/file_copy.hpp"

namespace ch::injection {

/// A name in a held directory.
struct Place {
  int directory = -1;
  std::string name;
};

/// The name that a copy has among what is kept until it is whole.
[[nodiscard]] inline std::string unfinished(const std::string& name) { return name + ".new"; }

/// Gives `to` the extended attributes of `from`: the user's and access lists must come along,
/// others (security.*, lustre.*) only where the file system lets them.
inline void copy_attributes(int from, int to, std::string_view path) {
  std::string names;
  for (;;) {
    const ssize_t size = ::flistxattr(from, nullptr, 0);
    if (size == 0 || (size < 0 && errno == EOPNOTSUPP)) return;
    if (size < 0) io::throw_errno("read the attributes of", path);
    names.resize(static_cast<std::size_t>(size));
    const ssize_t got = ::flistxattr(from, names.data(), names.size());
    if (got < 0 && errno == ERANGE) continue;  // they have become more
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

/// Makes `to` the same as `from` in everything but its inode. It is made as `staged` beside it,
/// and becomes `to`, in place of what was there, when it is whole and on the disk.
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
      throw io::Failed(io::printable(path), "this is not a regular file, and so can't be set aside",
                       "remove it from the image first");
    io::Descriptor copy = io::create_file(to.directory, staged, path);
    copy_bytes(file.get(), copy.get(), path);
    const struct stat made = io::status_of(copy, path);
    if (made.st_size != status.st_size)
      throw io::Failed(io::printable(path), "this file changes while it is read",
                       "wait until nothing writes to it any more");
    if ((made.st_uid != status.st_uid || made.st_gid != status.st_gid) &&
        ::fchown(copy.get(), status.st_uid, status.st_gid) != 0)
      io::throw_errno("keep the owner of", path);
    copy_attributes(file.get(), copy.get(), path);
    if (::fchmod(copy.get(), status.st_mode & 07777) != 0) io::throw_errno("set the mode of", path);
    const timespec times[2] = {status.st_atim, status.st_mtim};
    if (::futimens(copy.get(), times) != 0) io::throw_errno("set the time of", path);
    // EINVAL: a file system where there is nothing to wait for.
    if (::fsync(copy.get()) != 0 && errno != EINVAL) io::throw_errno("write", path);
    io::close_written(copy, path);
  }
  if (::renameat(to.directory, staged.c_str(), to.directory, to.name.c_str()) != 0)
    io::throw_errno("keep", path);
}

/// Moves `from` to `to`, in place of what is there; by a copy, called `staged` until it is
/// whole, where a rename can't do it. Of two names of one file only `to` is left.
inline void move_original(const Place& from, const Place& to, const std::string& staged,
                          std::string_view path) {
  if (::renameat(from.directory, from.name.c_str(), to.directory, to.name.c_str()) != 0) {
    if (errno != EXDEV) io::throw_errno("put back", path);
    copy_original(from, to, staged, path);
  }
  io::remove_name(from.directory, from.name, path);  // rename leaves it if both were one file
}

/// Is the original that was set aside as `kept` still, or again, at `place`, as another file?
/// Then that is the one to stay: it has all its names.
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

/// Sets the original `from` aside as `to`: under a second name, or, where there are no hard
/// links, moved there, so that its own name is free for a moment. `fresh`: always a copy, since
/// somebody may write into the file itself.
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
