// SPDX-License-Identifier: Apache-2.0
//
// Fault injection: the errors with which each system call can fail on a machine in bad
// shape: full, broken, short of memory, or with a filter in the way. From the calls' manual
// pages; errors that only a wrong argument can cause are left out.
#pragma once

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/tracer.hpp"

namespace faults {

/// One way to disturb a call.
struct Fault {
  test::Act act = test::Act::none;
  int error = 0;
};

namespace detail {

inline std::vector<int> opening(std::uint64_t flags) {
  std::vector<int> all = {EACCES, EMFILE, ENFILE, ENOMEM, EIO, EINTR};
  if ((flags & O_CREAT) != 0) all.insert(all.end(), {ENOSPC, EDQUOT, EROFS});
  return all;
}

/// Errors of a call; empty: it can't fail, or the C library handles the failure.
inline std::vector<int> errnos(const test::Call& call) {
  switch (call.number) {
    case SYS_open:
      return opening(call.arguments[1]);
    case SYS_openat:
      return opening(call.arguments[2]);
    case SYS_openat2:
      return {ENOSYS, EPERM, EACCES, EMFILE, ENFILE, ENOMEM, EIO, EAGAIN};
    case SYS_read:
    case SYS_pread64:
    case SYS_readv:
      return {EIO, EINTR};
    case SYS_write:
    case SYS_pwrite64:
    case SYS_writev:
    case SYS_pwritev:
      return {ENOSPC, EDQUOT, EIO, EFBIG, EINTR};
    case SYS_copy_file_range:
    case SYS_sendfile:
      return {ENOSPC, EDQUOT, EIO, EXDEV, EINVAL, ENOSYS};
    case SYS_ftruncate:
    case SYS_fallocate:
      return {ENOSPC, EDQUOT, EIO, EFBIG, EOPNOTSUPP};
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_syncfs:
      return {EIO, ENOSPC, EDQUOT};
    case SYS_close:
      return {EIO, ENOSPC, EDQUOT, EINTR};
    case SYS_mkdirat:
    case SYS_mkdir:
    case SYS_mknodat:
    case SYS_symlinkat:
    case SYS_symlink:
      return {ENOSPC, EDQUOT, EIO, EACCES, EROFS, ENOMEM};
    case SYS_linkat:
    case SYS_link:
      return {EPERM, EMLINK, EXDEV, ENOSPC, EIO, ENOSYS};
    case SYS_renameat2:
      return {EINVAL, ENOSYS, EACCES, ENOSPC, EIO, EBUSY};
    case SYS_renameat:
    case SYS_rename:
      return {EACCES, ENOSPC, EIO, EBUSY};
    case SYS_unlinkat:
    case SYS_unlink:
    case SYS_rmdir:
      return {EACCES, EPERM, EIO, EBUSY};
    case SYS_fchmod:
    case SYS_fchmodat:
    case SYS_chmod:
    case SYS_fchown:
    case SYS_fchownat:
    case SYS_utimensat:
      return {EPERM, EIO, EROFS};
    case SYS_fsetxattr:
    case SYS_lsetxattr:
    case SYS_setxattr:
      return {ENOSPC, EDQUOT, EOPNOTSUPP, EPERM};
    case SYS_fgetxattr:
    case SYS_getxattr:
    case SYS_lgetxattr:
    case SYS_flistxattr:
      return {EOPNOTSUPP, EIO};
    case SYS_getdents64:
    case SYS_newfstatat:
    case SYS_fstat:
    case SYS_lstat:
    case SYS_stat:
    case SYS_fstatfs:
    case SYS_statfs:
    case SYS_readlinkat:
    case SYS_readlink:
      return {EIO, ENOMEM};
    case SYS_statx:
      return {EIO, ENOMEM, ENOSYS};
    case SYS_faccessat:
    case SYS_faccessat2:
    case SYS_access:
    case SYS_chdir:
    case SYS_fchdir:
      return {EACCES, EIO};
    case SYS_flock:
      return {ENOLCK, EINTR};  // EWOULDBLOCK would mean another process, which does not exist
    case SYS_fcntl:
    case SYS_dup:
    case SYS_dup2:
    case SYS_dup3:
      return {EMFILE};
    case SYS_close_range:
      return {ENOSYS, EPERM, ENOMEM};
    case SYS_brk:
      return {ENOMEM};
    case SYS_mmap:
    case SYS_mremap:
      return {ENOMEM};
    case SYS_pipe2:
    case SYS_socket:
    case SYS_socketpair:
    case SYS_memfd_create:
    case SYS_eventfd2:
    case SYS_signalfd4:
    case SYS_epoll_create1:
    case SYS_timerfd_create:
    case SYS_pidfd_open:
      return {EMFILE, ENFILE, ENOMEM, ENOSYS, EPERM};
    case SYS_bind:
      return {EADDRINUSE, ENOMEM, EACCES};
    case SYS_listen:
    case SYS_getsockname:
    case SYS_getsockopt:
    case SYS_setsockopt:
      return {ENOMEM, EPERM};
    case SYS_connect:
      return {ECONNREFUSED, EAGAIN, EINTR, EPERM};
    case SYS_accept:
    case SYS_accept4:
      return {EMFILE, ENOMEM, EINTR, ECONNABORTED};
    case SYS_sendmsg:
    case SYS_sendto:
      return {EPIPE, ENOBUFS, EINTR, ETOOMANYREFS};
    case SYS_recvmsg:
    case SYS_recvfrom:
      return {ECONNRESET, EINTR, ENOMEM};
    case SYS_poll:
    case SYS_ppoll:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
      return {EINTR, ENOMEM};
    case SYS_wait4:
    case SYS_waitid:
      return {EINTR};
    case SYS_clone:
    case SYS_fork:
    case SYS_vfork:
      return {EAGAIN, ENOMEM, EPERM, ENOSPC};
    case SYS_clone3:
      return {ENOSYS, EPERM, EAGAIN, ENOMEM, ENOSPC};
    case SYS_execve:
    case SYS_execveat:
      return {EACCES, ENOMEM, EIO, E2BIG};
    case SYS_unshare:
    case SYS_setns:
      return {EPERM, ENOMEM, ENOSPC, ENOSYS, EINVAL};
    case SYS_setresuid:
    case SYS_setresgid:
    case SYS_setuid:
    case SYS_setgid:
    case SYS_setgroups:
      return {EPERM, EAGAIN};
    case SYS_prctl:
    case SYS_seccomp:
    case SYS_capset:
    case SYS_sethostname:
      return {EPERM, EINVAL, ENOMEM};
    case SYS_mount:
    case SYS_umount2:
    case SYS_pivot_root:
      return {EPERM, EINVAL, ENOSYS, EBUSY, ENOMEM};
    case SYS_open_tree:
    case SYS_move_mount:
    case SYS_mount_setattr:
    case SYS_fsopen:
    case SYS_fsconfig:
    case SYS_fsmount:
      return {EPERM, EINVAL, ENOSYS, EBUSY, ENOMEM, EMFILE};
    default:
      return {};
  }
}

inline bool can_be_short(long number) {
  return number == SYS_read || number == SYS_pread64 || number == SYS_write ||
         number == SYS_pwrite64;
}

}  // namespace detail

/// All faults to try with this call.
inline std::vector<Fault> faults_of(const test::Call& call) {
  using test::Act;
  std::vector<Fault> all;
  const Act how = call.number == SYS_close ? Act::fail_after : Act::fail;
  for (const int error : detail::errnos(call)) all.push_back({how, error});
  if (detail::can_be_short(call.number) && call.arguments[2] > 1) all.push_back({Act::shorten, 0});
  all.push_back({Act::kill_before, 0});
  // After this call nothing more is done.
  if (call.number != SYS_exit_group && call.number != SYS_exit && call.number != SYS_execve)
    all.push_back({Act::kill_after, 0});
  return all;
}

/// Calls that change something on disk or in the container: a short
/// run tries all of these.
inline bool changes_things(long number) {
  switch (number) {
    case SYS_renameat2:
    case SYS_renameat:
    case SYS_linkat:
    case SYS_unlinkat:
    case SYS_mkdirat:
    case SYS_symlinkat:
    case SYS_fsync:
    case SYS_syncfs:
    case SYS_fchmod:
    case SYS_clone:
    case SYS_clone3:
    case SYS_unshare:
    case SYS_mount:
    case SYS_move_mount:
    case SYS_mount_setattr:
    case SYS_pivot_root:
    case SYS_fsmount:
    case SYS_execve:
      return true;
    default:
      return false;
  }
}

/// Does this call, which is about to be made, put bytes into a file, or end the writing of one on
/// `device`? If its error is ignored, a file is incomplete. Elsewhere (/proc,
/// memory, the tmpfs of a container) closing can't fail.
inline bool decides_content(const test::Call& call, dev_t device) {
  std::uint64_t fd = call.arguments[0];
  switch (call.number) {
    case SYS_copy_file_range:
      fd = call.arguments[2];
      break;
    case SYS_write:
    case SYS_pwrite64:
    case SYS_writev:
    case SYS_pwritev:
    case SYS_sendfile:
    case SYS_ftruncate:
    case SYS_close:
      break;
    default:
      return false;
  }
  const std::string process = "/proc/" + std::to_string(call.pid);
  struct stat status {};
  if (::stat((process + "/fd/" + std::to_string(fd)).c_str(), &status) != 0 ||
      !S_ISREG(status.st_mode))
    return false;
  if (call.number != SYS_close) return true;
  // An empty file, such as a mount point, has nothing to lose.
  if (status.st_dev != device || status.st_nlink == 0 || status.st_size == 0) return false;
  std::ifstream about(process + "/fdinfo/" + std::to_string(fd));
  for (std::string word; about >> word;)
    if (word == "flags:") {
      std::uint64_t flags = 0;
      about >> std::oct >> flags;
      return (flags & O_ACCMODE) != O_RDONLY;
    }
  return false;
}

/// Does this error of such a call mean that bytes are lost? Not if the call is repeated
/// afterwards, or replaced by another.
inline bool loses_content(const Fault& fault) {
  const bool fails = fault.act == test::Act::fail || fault.act == test::Act::fail_after;
  return fails && (fault.error == ENOSPC || fault.error == EDQUOT || fault.error == EIO);
}

inline std::string name_of(const Fault& fault) {
  using test::Act;
  switch (fault.act) {
    case Act::fail:
    case Act::fail_after:
      return strerrorname_np(fault.error);
    case Act::shorten:
      return "short";
    case Act::kill_before:
      return "killed before";
    case Act::kill_after:
      return "killed after";
    default:
      return "nothing";
  }
}

}  // namespace faults
