// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. What unpacking does with descriptors beyond io/: how many it may hold, and opening a
// directory below another one without following any link.
// Source: man 2 openat2, pwrite; man 2 getrlimit.
#pragma once

#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "ch/io/directory.hpp"

namespace ch::images {

/// How many descriptors may be held for one purpose: one `share`-th of this process's limit, but at
/// most `most`. Source: man 2 getrlimit.
[[nodiscard]] inline unsigned descriptors_to_hold(unsigned most, unsigned share) noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 2;
  return static_cast<unsigned>(std::clamp<rlim_t>(limit.rlim_cur / share, 2, most));
}

/// Throws EMFILE or ENFILE, naming the limit, unless `count` more descriptors can be had now:
/// before anything is created that could not be removed without them. `any` is an open descriptor.
inline void require_descriptors(int any, std::size_t count) {
  std::vector<io::Descriptor> all;
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
    throw io::Failed(io::Reason::system, {}, std::move(cause), io::remedy_for(why), why);
  }
}

/// Opens the directory at the relative `path` below `root` without following any link; none on
/// failure (errno says why). By openat2 if available, else step by step.
inline io::Descriptor try_open_beneath(int root, const std::string& path) {
  const kernel::OpenHow how{
      O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
      kernel::resolve_beneath | kernel::resolve_no_symlinks | kernel::resolve_no_magiclinks};
  const char* whole = path.empty() ? "." : path.c_str();
  const long result = ::syscall(SYS_openat2, root, whole, &how, sizeof how);
  if (result >= 0) return io::Descriptor(static_cast<int>(result));
  if (errno != ENOSYS && errno != EPERM && errno != EAGAIN) return {};
  io::Descriptor at(::openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
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
    at = io::Descriptor(
        ::openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  return at;
}

[[noreturn]] inline void throw_archive_changed() {
  throw io::Failed(io::Reason::damaged, {},
                   "the archive was truncated or became unreadable while we read it",
                   "fetch the archive again, and see that nothing writes to it meanwhile");
}

/// Writes all of it at `offset`. Throws what man 2 pwrite says; ENOSPC when 0 is written;
/// damaged if `data` is in a mapped file that has been truncated.
inline void write_all(int fd, const void* data, std::size_t size, std::uint64_t offset,
                      std::string_view name) {
  const char* from = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::pwrite(fd, from, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EFAULT) throw_archive_changed();
    if (n < 0) io::throw_errno("write", name);
    if (n == 0) io::throw_errno("write", name, ENOSPC);
    from += n;
    offset += static_cast<std::uint64_t>(n);
    size -= static_cast<std::size_t>(n);
  }
}

}  // namespace ch::images
