// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. Every system call of the launch path, in one table: its number, its name, and what its
// arguments and result are. The number goes to the kernel; the rest lets the other Kernels in this
// folder print and compare calls.
// Source: man 2 syscalls; asm/unistd.h.
#pragma once

#include "ch/kernel/language.hpp"

#include <asm/unistd.h>

#include <cstddef>

namespace ch::kernel {

/// A system call, by its number on this architecture. `none` stands for "no system call".
enum class Call : int {
  none = -1,
  accept4 = __NR_accept4,
  bind = __NR_bind,
  clock_gettime = __NR_clock_gettime,
  clone = __NR_clone,
  clone3 = __NR_clone3,
  close = __NR_close,
  close_range = __NR_close_range,
  connect = __NR_connect,
  dup3 = __NR_dup3,
  execve = __NR_execve,
  exit_group = __NR_exit_group,
  fchdir = __NR_fchdir,
  flock = __NR_flock,
  fsconfig = __NR_fsconfig,
  fsmount = __NR_fsmount,
  fcntl = __NR_fcntl,
  fsopen = __NR_fsopen,
  fstatfs = __NR_fstatfs,
  getegid = __NR_getegid,
  geteuid = __NR_geteuid,
  getgid = __NR_getgid,
  getpid = __NR_getpid,
  getppid = __NR_getppid,
  getsockname = __NR_getsockname,
  getsockopt = __NR_getsockopt,
  getuid = __NR_getuid,
  ioctl = __NR_ioctl,
  kill = __NR_kill,
  listen = __NR_listen,
  mkdirat = __NR_mkdirat,
  mknodat = __NR_mknodat,
  mmap = __NR_mmap,
  mount = __NR_mount,
  mount_setattr = __NR_mount_setattr,
  move_mount = __NR_move_mount,
  open_tree = __NR_open_tree,
  open_tree_attr = 467,  // newer than many headers; the same on all architectures
  openat = __NR_openat,
  openat2 = __NR_openat2,
  pidfd_getfd = __NR_pidfd_getfd,
  pidfd_open = __NR_pidfd_open,
  pidfd_send_signal = __NR_pidfd_send_signal,
  pipe2 = __NR_pipe2,
  pivot_root = __NR_pivot_root,
  ppoll = __NR_ppoll,
  prctl = __NR_prctl,
  prlimit64 = __NR_prlimit64,
  read = __NR_read,
  readlinkat = __NR_readlinkat,
  recvmsg = __NR_recvmsg,
  removexattr = __NR_removexattr,
  rt_sigaction = __NR_rt_sigaction,
  rt_sigprocmask = __NR_rt_sigprocmask,
  rt_sigtimedwait = __NR_rt_sigtimedwait,
  sendmsg = __NR_sendmsg,
  sethostname = __NR_sethostname,
  setns = __NR_setns,
  setsockopt = __NR_setsockopt,
  shutdown = __NR_shutdown,
  socket = __NR_socket,
  socketpair = __NR_socketpair,
  statx = __NR_statx,
  symlinkat = __NR_symlinkat,
  umount2 = __NR_umount2,
  uname = __NR_uname,
  unlinkat = __NR_unlinkat,
  unshare = __NR_unshare,
  wait4 = __NR_wait4,
  write = __NR_write,
};

/// How a call looks, one letter per argument, then one for the result:
/// `d` descriptor, `s` NUL-terminated string or null, `b` bytes whose count is the next
/// argument, `x` flags (hexadecimal), `i` number, `p` pointer that is not followed,
/// `h` open_how, `a` mount_attr. Result `d` is a new descriptor, `i` a number or 0,
/// `n` a count that, on success, equals the last `i` (write).
struct CallShape {
  Call call;
  char name[18];  // texts by themselves: pointers to them would take more room
  char arguments[7];
  char result;
};

inline constexpr CallShape call_shapes[] = {
    {Call::accept4, "accept4", "dppx", 'd'},
    {Call::bind, "bind", "dpi", 'i'},
    {Call::clock_gettime, "clock_gettime", "ip", 'i'},
    {Call::clone, "clone", "xpppp", 'i'},
    {Call::clone3, "clone3", "pi", 'i'},
    {Call::close, "close", "d", 'i'},
    {Call::close_range, "close_range", "iix", 'i'},
    {Call::connect, "connect", "dpi", 'i'},
    {Call::dup3, "dup3", "ddx", 'd'},
    {Call::execve, "execve", "spp", 'i'},
    {Call::exit_group, "exit_group", "i", 'i'},
    {Call::fchdir, "fchdir", "d", 'i'},
    {Call::fcntl, "fcntl", "dii", 'i'},
    {Call::flock, "flock", "dx", 'i'},
    {Call::fsconfig, "fsconfig", "dissi", 'i'},
    {Call::fsmount, "fsmount", "dxx", 'd'},
    {Call::fsopen, "fsopen", "sx", 'd'},
    {Call::fstatfs, "fstatfs", "dp", 'i'},
    {Call::getegid, "getegid", "", 'i'},
    {Call::geteuid, "geteuid", "", 'i'},
    {Call::getgid, "getgid", "", 'i'},
    {Call::getpid, "getpid", "", 'i'},
    {Call::getppid, "getppid", "", 'i'},
    {Call::getsockname, "getsockname", "dpp", 'i'},
    {Call::getsockopt, "getsockopt", "diipp", 'i'},
    {Call::getuid, "getuid", "", 'i'},
    {Call::ioctl, "ioctl", "dxp", 'i'},
    {Call::kill, "kill", "ii", 'i'},
    {Call::listen, "listen", "di", 'i'},
    {Call::mkdirat, "mkdirat", "dsi", 'i'},
    {Call::mknodat, "mknodat", "dsii", 'i'},
    {Call::mmap, "mmap", "pixxdi", 'i'},
    {Call::mount, "mount", "sssxs", 'i'},
    {Call::mount_setattr, "mount_setattr", "dsxai", 'i'},
    {Call::move_mount, "move_mount", "dsdsx", 'i'},
    {Call::open_tree, "open_tree", "dsx", 'd'},
    {Call::open_tree_attr, "open_tree_attr", "dsxai", 'd'},
    {Call::openat, "openat", "dsxi", 'd'},
    {Call::openat2, "openat2", "dshi", 'd'},
    {Call::pidfd_getfd, "pidfd_getfd", "dix", 'd'},
    {Call::pidfd_open, "pidfd_open", "ix", 'd'},
    {Call::pidfd_send_signal, "pidfd_send_signal", "dipi", 'i'},
    {Call::pipe2, "pipe2", "px", 'i'},
    {Call::pivot_root, "pivot_root", "ss", 'i'},
    {Call::ppoll, "ppoll", "pippi", 'i'},
    {Call::prctl, "prctl", "iiiii", 'i'},
    {Call::prlimit64, "prlimit64", "iipp", 'i'},
    {Call::read, "read", "dpi", 'i'},
    {Call::readlinkat, "readlinkat", "dspi", 'i'},
    {Call::recvmsg, "recvmsg", "dpx", 'i'},
    {Call::removexattr, "removexattr", "ss", 'i'},
    {Call::rt_sigaction, "rt_sigaction", "ippi", 'i'},
    {Call::rt_sigprocmask, "rt_sigprocmask", "ippi", 'i'},
    {Call::rt_sigtimedwait, "rt_sigtimedwait", "pppi", 'i'},
    {Call::sendmsg, "sendmsg", "dpx", 'i'},
    {Call::sethostname, "sethostname", "bi", 'i'},
    {Call::setns, "setns", "dx", 'i'},
    {Call::setsockopt, "setsockopt", "diipi", 'i'},
    {Call::shutdown, "shutdown", "di", 'i'},
    {Call::socket, "socket", "iii", 'd'},
    {Call::socketpair, "socketpair", "iiip", 'i'},
    {Call::statx, "statx", "dsxxp", 'i'},
    {Call::symlinkat, "symlinkat", "sds", 'i'},
    {Call::umount2, "umount2", "sx", 'i'},
    {Call::uname, "uname", "p", 'i'},
    {Call::unlinkat, "unlinkat", "dsx", 'i'},
    {Call::unshare, "unshare", "x", 'i'},
    {Call::wait4, "wait4", "ipip", 'i'},
    {Call::write, "write", "dbi", 'n'},
};

/// Of a call that is not in the table, and of none at all.
inline constexpr CallShape unknown_call{Call::none, "?", "", 'i'};
inline constexpr CallShape no_call{Call::none, "planning", "", 'i'};

/// The row of `call`, or one of these two.
[[nodiscard]] constexpr const CallShape& shape(Call call) noexcept {
  for (const CallShape& row : call_shapes)
    if (row.call == call) return row;
  return call == Call::none ? no_call : unknown_call;
}

}  // namespace ch::kernel
