// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. The kernel's own vocabulary: descriptors, error numbers, flags and
// structures exactly as a system call takes them. Names are the kernel's, in
// lower case, because libc headers define the upper-case ones as macros.
// Source: include/uapi/linux/{fcntl,mount,openat2,sched,stat}.h; man 2 intro.
#pragma once

#include "ch/kernel/language.hpp"

#include <cstddef>
#include <cstdint>

namespace ch::kernel {

/// A file descriptor. `cwd` is AT_FDCWD: relative paths start at the working directory.
enum class Fd : int { none = -1, cwd = -100 };

/// A process id as the calling process's pid namespace counts it.
enum class Pid : int { none = 0 };

/// An error number (man 3 errno). Any value is valid; those that we test for have names.
enum class Errno : int {
  none = 0,
  eperm = 1,
  enoent = 2,
  esrch = 3,
  eintr = 4,
  eio = 5,
  enxio = 6,
  e2big = 7,
  enoexec = 8,
  ebadf = 9,
  echild = 10,
  eagain = 11,
  enomem = 12,
  eacces = 13,
  ebusy = 16,
  eexist = 17,
  exdev = 18,
  enodev = 19,
  enotdir = 20,
  eisdir = 21,
  einval = 22,
  enfile = 23,
  emfile = 24,
  etxtbsy = 26,
  efbig = 27,
  enospc = 28,
  erofs = 30,
  emlink = 31,
  epipe = 32,
  erange = 34,
  enametoolong = 36,
  enosys = 38,
  enotempty = 39,
  eloop = 40,
  enodata = 61,
  eproto = 71,
  eoverflow = 75,
  eusers = 87,
  eopnotsupp = 95,
  eaddrinuse = 98,
  econnreset = 104,
  etimedout = 110,
  econnrefused = 111,
  estale = 116,
  edquot = 122,
  ecanceled = 125,
};

// --- open flags (asm-generic; x86-64 and aarch64 differ only in the three marked) ---
inline constexpr std::uint64_t o_rdonly = 0;
inline constexpr std::uint64_t o_wronly = 01;
inline constexpr std::uint64_t o_rdwr = 02;
inline constexpr std::uint64_t o_creat = 0100;
inline constexpr std::uint64_t o_excl = 0200;
inline constexpr std::uint64_t o_trunc = 01000;
inline constexpr std::uint64_t o_nonblock = 04000;
inline constexpr std::uint64_t o_cloexec = 02000000;
inline constexpr std::uint64_t o_path = 010000000;
#if defined(__aarch64__)
inline constexpr std::uint64_t o_directory = 040000;
inline constexpr std::uint64_t o_nofollow = 0100000;
#else
inline constexpr std::uint64_t o_directory = 0200000;
inline constexpr std::uint64_t o_nofollow = 0400000;
#endif

// --- *at() flags, man 2 openat ---
inline constexpr unsigned at_symlink_nofollow = 0x100;
inline constexpr unsigned at_removedir = 0x200;
inline constexpr unsigned at_symlink_follow = 0x400;
inline constexpr unsigned at_empty_path = 0x1000;
inline constexpr unsigned at_recursive = 0x8000;

// --- openat2, man 2 openat2 (kernel 5.6) ---
struct OpenHow {
  std::uint64_t flags = 0;
  std::uint64_t mode = 0;
  std::uint64_t resolve = 0;
};
inline constexpr std::uint64_t resolve_no_xdev = 0x01;
inline constexpr std::uint64_t resolve_no_magiclinks = 0x02;
inline constexpr std::uint64_t resolve_no_symlinks = 0x04;
inline constexpr std::uint64_t resolve_beneath = 0x08;
inline constexpr std::uint64_t resolve_in_root = 0x10;

// --- clone, unshare, setns; man 2 clone, man 7 namespaces ---
inline constexpr std::uint64_t clone_newtime = 0x00000080;
inline constexpr std::uint64_t clone_vm = 0x00000100;
inline constexpr std::uint64_t clone_pidfd = 0x00001000;
inline constexpr std::uint64_t clone_vfork = 0x00004000;
inline constexpr std::uint64_t clone_newns = 0x00020000;
inline constexpr std::uint64_t clone_newcgroup = 0x02000000;
inline constexpr std::uint64_t clone_newuts = 0x04000000;
inline constexpr std::uint64_t clone_newipc = 0x08000000;
inline constexpr std::uint64_t clone_newuser = 0x10000000;
inline constexpr std::uint64_t clone_newpid = 0x20000000;
inline constexpr std::uint64_t clone_newnet = 0x40000000;
inline constexpr std::uint64_t clone_clear_sighand = 0x100000000ULL;  // clone3 only, kernel 5.5
struct CloneArgs {  // clone_args, CLONE_ARGS_SIZE_VER0
  std::uint64_t flags = 0;
  std::uint64_t pidfd = 0;
  std::uint64_t child_tid = 0;
  std::uint64_t parent_tid = 0;
  std::uint64_t exit_signal = 0;
  std::uint64_t stack = 0;
  std::uint64_t stack_size = 0;
  std::uint64_t tls = 0;
};

struct PidfdInfo {  // pidfd_info, PIDFD_INFO_SIZE_VER0; kernel 6.13
  std::uint64_t mask = 0;
  std::uint64_t cgroup = 0;
  std::uint32_t pid_tgid_ppid[3] = {};
  std::uint32_t ids[8] = {};
  std::int32_t exit_code = 0;  // as in man 2 wait
};
static_assert(sizeof(PidfdInfo) == 64);
inline constexpr std::uint64_t pidfd_info_exit = 1 << 3;  // kernel 6.15

// --- the mount API of kernel 5.2, mount_setattr of 5.12 ---
inline constexpr unsigned open_tree_clone = 1;
inline constexpr unsigned open_tree_cloexec = static_cast<unsigned>(o_cloexec);
inline constexpr unsigned move_mount_f_empty_path = 0x04;
inline constexpr unsigned move_mount_t_empty_path = 0x40;
inline constexpr unsigned fsopen_cloexec = 1;
inline constexpr unsigned fsmount_cloexec = 1;
inline constexpr unsigned fsconfig_set_flag = 0;
inline constexpr unsigned fsconfig_set_string = 1;
inline constexpr unsigned fsconfig_cmd_create = 6;
inline constexpr std::uint64_t mount_attr_rdonly = 0x1;
inline constexpr std::uint64_t mount_attr_nosuid = 0x2;
inline constexpr std::uint64_t mount_attr_nodev = 0x4;
inline constexpr std::uint64_t mount_attr_noexec = 0x8;
struct MountAttr {  // mount_attr, MOUNT_ATTR_SIZE_VER0
  std::uint64_t attr_set = 0;
  std::uint64_t attr_clr = 0;
  std::uint64_t propagation = 0;
  std::uint64_t userns_fd = 0;
};

// --- mount(2), for kernels older than that ---
inline constexpr std::uint64_t ms_rdonly = 1;
inline constexpr std::uint64_t ms_nosuid = 2;
inline constexpr std::uint64_t ms_nodev = 4;
inline constexpr std::uint64_t ms_noexec = 8;
inline constexpr std::uint64_t ms_remount = 32;
inline constexpr std::uint64_t ms_nosymfollow = 256;  // kernel 5.10
inline constexpr std::uint64_t ms_noatime = 1024;
inline constexpr std::uint64_t ms_nodiratime = 2048;
inline constexpr std::uint64_t ms_bind = 4096;
inline constexpr std::uint64_t ms_move = 8192;
inline constexpr std::uint64_t ms_rec = 16384;
inline constexpr std::uint64_t ms_unbindable = 1 << 17;
inline constexpr std::uint64_t ms_private = 1 << 18;
inline constexpr std::uint64_t ms_relatime = 1 << 21;
inline constexpr std::uint64_t ms_strictatime = 1 << 24;
inline constexpr unsigned mnt_detach = 2;

// statfs f_flags, man 2 statfs. ST_RELATIME is *not* MS_RELATIME: translate one by one.
inline constexpr std::uint64_t st_rdonly = 0x0001;
inline constexpr std::uint64_t st_nosuid = 0x0002;
inline constexpr std::uint64_t st_nodev = 0x0004;
inline constexpr std::uint64_t st_noexec = 0x0008;
inline constexpr std::uint64_t st_noatime = 0x0400;
inline constexpr std::uint64_t st_nodiratime = 0x0800;
inline constexpr std::uint64_t st_relatime = 0x1000;
inline constexpr std::uint64_t st_nosymfollow = 0x2000;
struct StatFs {  // struct statfs on 64-bit machines
  std::int64_t type = 0, bsize = 0;
  std::uint64_t blocks = 0, bfree = 0, bavail = 0, files = 0, ffree = 0;
  std::int32_t fsid[2] = {};
  std::int64_t namelen = 0, frsize = 0, flags = 0;
  std::int64_t spare[4] = {};
};

// --- statx, man 2 statx (kernel 4.11) ---
struct StatxTime {
  std::int64_t sec = 0;
  std::uint32_t nsec = 0;
  std::int32_t reserved = 0;
};
struct Statx {
  std::uint32_t mask = 0, blksize = 0;
  std::uint64_t attributes = 0;
  std::uint32_t nlink = 0, uid = 0, gid = 0;
  std::uint16_t mode = 0, reserved0 = 0;
  std::uint64_t ino = 0, size = 0, blocks = 0, attributes_mask = 0;
  StatxTime atime, btime, ctime, mtime;
  std::uint32_t rdev_major = 0, rdev_minor = 0, dev_major = 0, dev_minor = 0;
  std::uint64_t mount_id = 0;  // kernel 5.8; 0 before
  std::uint64_t spare[13] = {};
};
static_assert(sizeof(Statx) == 256);
inline constexpr unsigned statx_basic_stats = 0x7ff;
inline constexpr unsigned statx_btime = 0x800;
inline constexpr unsigned statx_mnt_id = 0x1000;
inline constexpr std::uint16_t s_ifmt = 0170000;
inline constexpr std::uint16_t s_ifreg = 0100000;
inline constexpr std::uint16_t s_ifdir = 0040000;
inline constexpr std::uint16_t s_iflnk = 0120000;

// --- the rest ---
inline constexpr int pr_set_dumpable = 4;
inline constexpr int pr_set_no_new_privs = 38;
inline constexpr unsigned close_range_cloexec = 4;  // kernel 5.11
inline constexpr int sig_block = 0;
inline constexpr int sig_setmask = 2;
inline constexpr int sigchld = 17;
struct TimeSpec {
  std::int64_t sec = 0;
  std::int64_t nsec = 0;
};
inline constexpr int clock_monotonic = 1;
struct UtsName {
  char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};

}  // namespace ch::kernel
