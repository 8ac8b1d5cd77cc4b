// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. Processes and their namespaces: unshare, setns, clone, pidfd, exec, wait,
// prctl, signals, ids. No allocation; safe between clone and exec.
// Source: man 2 of each call; man 7 namespaces, user_namespaces.
#pragma once

#include "ch/kernel/kernel.hpp"

namespace ch::kernel {

/// Moves the caller to new namespaces. EPERM: a policy of the host forbids it, or the
/// caller is in a chroot. ENOSPC: user.max_user_namespaces (or the sysctl of another kind) is used
/// up or 0. EINVAL: the kernel lacks one of the kinds, or the caller has more than one thread (user
/// namespace).
template <Kernel K>
Returned<void> unshare(K& k, std::uint64_t flags) noexcept {
  return detail::make<void>(k, Call::unshare, flags);
}

/// Joins the namespaces `flags` of the process of `fd`, if that is a pidfd (kernel 5.8), or the one
/// namespace of `fd`, if that is a file of /proc/PID/ns.
template <Kernel K>
Returned<void> setns(K& k, Fd fd, std::uint64_t flags) noexcept {
  return detail::make<void>(k, Call::setns, fd, flags);
}

/// A descriptor for the process `pid`, never for a later one with the same pid; kernel 5.3.
template <Kernel K>
Returned<Fd> pidfd_open(K& k, Pid pid) noexcept {
  return detail::make<Fd>(k, Call::pidfd_open, pid, 0);
}

/// Does the process of `pidfd` still exist? ESRCH: it has ended. Kernel 5.1.
template <Kernel K>
Returned<void> pidfd_alive(K& k, Fd pidfd) noexcept {
  return detail::make<void>(k, Call::pidfd_send_signal, pidfd, 0, 0, 0);
}

/// Sends `signal` to the process of `pidfd`, never to a later one with the same pid. ESRCH: it has
/// ended. Kernel 5.1.
template <Kernel K>
Returned<void> pidfd_kill(K& k, Fd pidfd, int signal) noexcept {
  return detail::make<void>(k, Call::pidfd_send_signal, pidfd, signal, 0, 0);
}

/// A duplicate, close-on-exec, of descriptor `fd` of the process of `pidfd`. EPERM: the process may
/// not be traced. EBADF: it has no such descriptor. Kernel 5.6.
template <Kernel K>
Returned<Fd> pidfd_getfd(K& k, Fd pidfd, Fd fd) noexcept {
  return detail::make<Fd>(k, Call::pidfd_getfd, pidfd, fd, 0);
}

/// How the process of `pidfd` ended, as in man 2 wait, even if nobody can wait for it. ENOTTY,
/// EINVAL: the kernel is older than 6.15. ENODATA: it has not ended.
template <Kernel K>
Returned<void> pidfd_status(K& k, Fd pidfd, int& status) noexcept {
  constexpr std::uint64_t pidfd_get_info = 0xc040ff0b;  // _IOWR(0xff, 11, 64 bytes)
  PidfdInfo info{.mask = pidfd_info_exit};
  auto asked = detail::make<void>(k, Call::ioctl, pidfd, pidfd_get_info, &info);
  if (asked.ok() && (info.mask & pidfd_info_exit) == 0)
    asked.raw = -static_cast<long>(Errno::enodata);
  status = info.exit_code;
  return asked;
}

/// Starts `entry(argument)` in a child on the stack that `args` names; the child ends
/// with its return value. With clone_vm the child shares our memory, and with
/// clone_vfork we sleep until it has called exec or ended; kernel 5.3.
///
/// Not through `Kernel::call`: the child needs a stack switch that only assembly does.
inline Returned<Pid> clone3(const CloneArgs& args, long (*entry)(void*), void* argument) noexcept {
  const long raw = arch::clone_call(static_cast<long>(Call::clone3), detail::word(&args),
                                    sizeof(CloneArgs), entry, argument);
  return {raw, Call::clone3};
}

/// The same by the older call, which takes the upper end of the stack and has no
/// clone_clear_sighand. No clone_pidfd either, since parent_tid is not passed.
inline Returned<Pid> clone(std::uint64_t flags, void* stack_top, long (*entry)(void*),
                           void* argument) noexcept {
  const long raw = arch::clone_call(static_cast<long>(Call::clone), static_cast<long>(flags),
                                    detail::word(stack_top), entry, argument);
  return {raw, Call::clone};
}

/// Does this error of clone3 mean that the call is not available, on an old kernel or under a
/// filter that does not know it? EPERM may also be about the namespaces: then clone fails the same
/// way.
[[nodiscard]] constexpr bool lacks_clone3(Errno code) noexcept {
  return code == Errno::enosys || code == Errno::eperm;
}

/// A child with a copy of our memory, in new namespaces if `flags` has any; returns 0 in the child.
/// libc's atfork handlers do not run; in a program with threads, the child may only make system
/// calls. `pidfd`, if not null, becomes one for the child (kernel 5.2), close-on-exec. clone3
/// (kernel 5.3) or, if that is refused, clone, whose flags have no room for a time namespace.
template <Kernel K>
Returned<Pid> fork(K& k, std::uint64_t flags, Fd* pidfd = nullptr) noexcept {
  if (pidfd != nullptr) flags |= clone_pidfd;
  const CloneArgs args{.flags = flags,
                       .pidfd = static_cast<std::uint64_t>(detail::word(pidfd)),
                       .exit_signal = sigchld};
  const auto started = detail::make<Pid>(k, Call::clone3, &args, sizeof(CloneArgs));
  constexpr std::uint64_t exit_signal_bits = 0xff;
  if (started.ok() || !lacks_clone3(started.error()) || (flags & exit_signal_bits) != 0)
    return started;
  return detail::make<Pid>(k, Call::clone, flags | sigchld, 0L, pidfd, 0L, 0L);
}

/// `size` bytes of zeroed memory, in whole pages. ENOMEM: none left, or `ulimit -v`.
template <Kernel K>
Returned<std::byte*> map_memory(K& k, std::size_t size) noexcept {
  constexpr int read_write = 3;
  constexpr int private_anonymous = 0x22;
  const auto made =
      detail::make<long>(k, Call::mmap, 0L, size, read_write, private_anonymous, Fd::none, 0L);
  return {made.raw, made.call};
}

/// A pipe, close-on-exec: `ends[0]` to read, `ends[1]` to write.
template <Kernel K>
Returned<void> pipe(K& k, Fd (&ends)[2]) noexcept {
  return detail::make<void>(k, Call::pipe2, &ends[0], o_cloexec);
}

/// Maximum size of an argument or variable, including its NUL; beyond it execve returns E2BIG. 32
/// pages, of the largest page size that the processor may have.
#if defined(__x86_64__)
inline constexpr std::size_t max_argument_size = std::size_t{32} << 12;
#else
inline constexpr std::size_t max_argument_size = std::size_t{32} << 16;
#endif

/// Replaces the program. Returns only on error: ENOENT may also mean that the program's interpreter
/// is missing, EACCES that the file is not executable or on a noexec mount.
template <Kernel K>
Returned<void> execve(K& k, const char* path, const char* const* argv,
                      const char* const* envp) noexcept {
  return detail::make<void>(k, Call::execve, path, argv, envp);
}

inline constexpr auto any_child = static_cast<Pid>(-1);
inline constexpr int wnohang = 1;

/// Waits for `pid` to end; `status` as in man 2 wait. With wnohang, 0 if none has.
template <Kernel K>
Returned<Pid> wait4(K& k, Pid pid, int& status, int options = 0) noexcept {
  return detail::make<Pid>(k, Call::wait4, pid, &status, options, 0L);
}

/// Sets the host name of the caller's uts namespace; up to 64 bytes.
template <Kernel K>
Returned<void> sethostname(K& k, const char* name, std::size_t size) noexcept {
  return detail::make<void>(k, Call::sethostname, name, size);
}

template <Kernel K>
Returned<void> prctl(K& k, int option, long argument) noexcept {
  return detail::make<void>(k, Call::prctl, option, argument, 0, 0, 0);
}

/// A resource limit; unlimited unless the kernel fills it in.
struct RLimit {
  static constexpr std::uint64_t infinity = ~std::uint64_t{0};
  std::uint64_t soft = infinity;
  std::uint64_t hard = infinity;
};
inline constexpr int rlimit_fsize = 1;

/// The limit `resource` of the caller. Source: man 2 prlimit.
template <Kernel K>
Returned<void> getrlimit(K& k, int resource, RLimit& out) noexcept {
  return detail::make<void>(k, Call::prlimit64, 0, resource, static_cast<void*>(nullptr), &out);
}

template <Kernel K>
Returned<void> kill(K& k, Pid pid, int signal) noexcept {
  return detail::make<void>(k, Call::kill, pid, signal);
}

template <Kernel K>
[[noreturn]] void exit_group(K& k, int status) noexcept {
  for (;;) (void)k.call(Call::exit_group, static_cast<long>(status));
}

/// Replaces the set of blocked signals (one bit a signal, signal 1 is bit 0).
template <Kernel K>
Returned<void> sigprocmask(K& k, int how, const std::uint64_t* set, std::uint64_t* old) noexcept {
  return detail::make<void>(k, Call::rt_sigprocmask, how, set, old, sizeof(std::uint64_t));
}

/// The start of the kernel's siginfo_t, man 2 sigaction; the rest depends on the signal.
struct SigInfo {
  int signal = 0;
  int error = 0;
  int code = 0;  // si_kernel: sent by the kernel, as for a terminal
  int padding[29] = {};
};
inline constexpr int si_kernel = 0x80;

/// Takes the next pending signal of `set`, waiting for it. EINTR: try again.
template <Kernel K>
Returned<int> sigwait(K& k, std::uint64_t set, SigInfo& info) noexcept {
  return detail::make<int>(k, Call::rt_sigtimedwait, &set, &info, static_cast<void*>(nullptr),
                           sizeof(std::uint64_t));
}

/// The kernel's own layout of a signal's disposition.
struct SigAction {
  void (*handler)(int) = nullptr;  // null is SIG_DFL, 1 is SIG_IGN
  std::uint64_t flags = 0;
  void (*restorer)() = nullptr;
  std::uint64_t mask = 0;
};
template <Kernel K>
Returned<void> sigaction(K& k, int signal, const SigAction* set, SigAction* old) noexcept {
  return detail::make<void>(k, Call::rt_sigaction, signal, set, old, sizeof(std::uint64_t));
}

template <Kernel K>
Returned<unsigned> getuid(K& k) noexcept {
  return detail::make<unsigned>(k, Call::getuid);
}
template <Kernel K>
Returned<unsigned> getgid(K& k) noexcept {
  return detail::make<unsigned>(k, Call::getgid);
}
template <Kernel K>
Returned<unsigned> geteuid(K& k) noexcept {
  return detail::make<unsigned>(k, Call::geteuid);
}
template <Kernel K>
Returned<unsigned> getegid(K& k) noexcept {
  return detail::make<unsigned>(k, Call::getegid);
}
template <Kernel K>
Returned<Pid> getpid(K& k) noexcept {
  return detail::make<Pid>(k, Call::getpid);
}
/// The parent's pid, 0 if the parent is in another pid namespace.
template <Kernel K>
Returned<Pid> getppid(K& k) noexcept {
  return detail::make<Pid>(k, Call::getppid);
}
template <Kernel K>
Returned<void> uname(K& k, UtsName& out) noexcept {
  return detail::make<void>(k, Call::uname, &out);
}
template <Kernel K>
Returned<void> clock_gettime(K& k, int clock, TimeSpec& out) noexcept {
  return detail::make<void>(k, Call::clock_gettime, clock, &out);
}

}  // namespace ch::kernel
