// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. The few calls on descriptors that everything here makes, with errors as
// exceptions. All names are relative to a held directory and never pass through a link:
// that is what keeps us in the tree.
// Source: man 2 openat, openat2, fstatat.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ch/image/error.hpp"
#include "ch/kernel/owned_fd.hpp"

namespace ch::images {

using Descriptor = kernel::OwnedFd;

/// How many descriptors may be held for one purpose: of those that this process may have one
/// in `share`, and at most `most`. Source: man 2 getrlimit.
[[nodiscard]] inline unsigned descriptors_to_hold(unsigned most, unsigned share) noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 2;
  return static_cast<unsigned>(std::clamp<rlim_t>(limit.rlim_cur / share, 2, most));
}

/// Closes a file that was written. Some file systems report a full quota only now. Throws
/// what man 2 close says.
inline void close_written(Descriptor& fd, std::string_view name) {
  if (fd && ::close(fd.release()) != 0 && errno != EINTR) throw_errno("write", name);
}

/// Throws EMFILE or ENFILE, naming the limit, unless `count` more descriptors can be had now:
/// before anything is made that could not be removed without them. `any` is an open one.
inline void require_descriptors(int any, std::size_t count) {
  std::vector<Descriptor> all;
  while (all.size() < count) {
    all.emplace_back(::fcntl(any, F_DUPFD_CLOEXEC, 0));
    if (all.back()) continue;
    const int why = errno;
    rlimit limit{};
    std::string cause = "too few files can be opened: ";
    if (why == EMFILE && ::getrlimit(RLIMIT_NOFILE, &limit) == 0)
      cause += "ulimit -n allows " + std::to_string(limit.rlim_cur) + " in all, and " +
               std::to_string(count) + " more are needed";
    else
      cause += std::strerror(why);
    throw UnpackError(Failure::system, {}, std::move(cause), remedy_for(why), why);
  }
}

/// Opens the directory `name` below `parent`, following no link in the last component.
/// Throws ENOENT, ENOTDIR (also for a link), EACCES.
inline Descriptor open_directory(int parent, const char* name) {
  Descriptor fd(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) throw_errno("open directory", name);
  return fd;
}

/// Opens the directory at the relative `path` below `root`, through no link at all, or
/// answers none (errno says why). One openat2 where there is one, else a walk.
inline Descriptor try_open_beneath(int root, const std::string& path) {
  const kernel::OpenHow how{
      O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
      kernel::resolve_beneath | kernel::resolve_no_symlinks | kernel::resolve_no_magiclinks};
  const char* whole = path.empty() ? "." : path.c_str();
  const long answer = ::syscall(SYS_openat2, root, whole, &how, sizeof how);
  if (answer >= 0) return Descriptor(static_cast<int>(answer));
  if (errno != ENOSYS && errno != EPERM && errno != EAGAIN) return {};
  Descriptor at(::openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (std::size_t begin = 0; at && begin < path.size();) {
    std::size_t end = path.find('/', begin);
    if (end == std::string::npos) end = path.size();
    const std::string name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      errno = EXDEV;
      return {};
    }
    at = Descriptor(
        ::openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  return at;
}

/// Status of `name` below `parent` itself, not of what a link there points to. False if
/// there is nothing.
inline bool status_of(int parent, const char* name, struct stat& out) {
  if (::fstatat(parent, name, &out, AT_SYMLINK_NOFOLLOW) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  throw_errno("look at", name);
}

[[noreturn]] inline void throw_archive_changed() {
  throw UnpackError(Failure::damaged, {},
                    "the archive became shorter, or could not be read, while we read it",
                    "fetch the archive again, and let nobody write it meanwhile");
}

/// Writes all of it at `offset`. Throws what man 2 pwrite says; ENOSPC when 0 is written;
/// damaged if `data` is of a mapped file that has become shorter.
inline void write_all(int fd, const void* data, std::size_t size, std::uint64_t offset,
                      std::string_view name) {
  const char* from = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::pwrite(fd, from, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EFAULT) throw_archive_changed();
    if (n < 0) throw_errno("write", name);
    if (n == 0) throw_errno("write", name, ENOSPC);
    from += n;
    offset += static_cast<std::uint64_t>(n);
    size -= static_cast<std::size_t>(n);
  }
}

}  // namespace ch::images
