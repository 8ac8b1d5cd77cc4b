// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. The init of a container that needs a child (a pid or time namespace): the child
// makes the container and, as its process 1, starts the program, adopts and reaps orphans, and
// forwards signals to the program, which would ignore them if it were process 1. When process 1
// ends the kernel kills all others inside, so nothing survives.
// Source: man 7 pid_namespaces; man 2 sigwaitinfo.
#pragma once

#include "ch/execute/execute.hpp"
#include "ch/kernel/socket.hpp"

namespace ch {
namespace detail {

inline constexpr int sigkill = 9;
inline constexpr int sigstop = 19;
inline constexpr int sigtstp = 20;
inline constexpr int pr_set_pdeathsig = 1;
inline constexpr std::uint64_t every_signal = ~0ULL;

/// The exit status as a shell reports it: its code, or 128 and the signal that killed it.
[[nodiscard]] constexpr int shell_status(int code, int signal) noexcept {
  return signal == 0 ? code : 128 + signal;
}
/// The same for a status as in man 2 wait.
[[nodiscard]] constexpr int shell_status(int status) noexcept {
  return shell_status((status >> 8) & 0xff, status & 0x7f);
}

/// Waits for `child` and forwards signals to it. All signals must be blocked. Reaps every child,
/// own and adopted; returns the status of `child`.
template <kernel::Kernel K>
[[nodiscard]] int supervise(K& k, Pid child) noexcept {
  for (;;) {
    kernel::SigInfo info;
    const auto signal = kernel::sigwait(k, every_signal, info);
    if (!signal.ok()) continue;  // EINTR
    if (signal.value() == kernel::sigchld) {
      for (int status = 0;;) {
        const auto ended = kernel::wait4(k, kernel::any_child, status, kernel::wnohang);
        if (ended.error() == Errno::eintr) continue;
        if (!ended.ok() || ended.value() == Pid::none) break;
        if (ended.value() == child) return status;
      }
    } else if (info.code != kernel::si_kernel) {
      (void)kernel::kill(k, child, signal.value());
    } else if (signal.value() == sigtstp) {
      // The terminal has signalled the program itself; a shell expects us to stop as well.
      (void)kernel::kill(k, kernel::getpid(k).value(), sigstop);
    }
  }
}

/// Has everyone closed the read end of the pipe whose write end this is?
template <kernel::Kernel K>
[[nodiscard]] bool has_no_reader(K& k, Fd writing_end) noexcept {
  kernel::PollFd pipe{writing_end};
  const auto polled = kernel::poll(k, &pipe, 1, 0);
  return polled.ok() && (pipe.revents & kernel::pollerr) != 0;
}

/// Ends this process the way another ended, by its `status` (man 2 wait): with the same exit code,
/// or killed by the same signal, without a second core file.
template <kernel::Kernel K>
[[noreturn]] void end_with_status(K& k, int status) noexcept {
  const int signal = status & 0x7f;
  if (signal != 0) {
    (void)kernel::prctl(k, kernel::pr_set_dumpable, 0);
    const kernel::SigAction fallback;
    (void)kernel::sigaction(k, signal, &fallback, nullptr);
    const std::uint64_t none = 0;
    (void)kernel::kill(k, kernel::getpid(k).value(), signal);
    (void)kernel::sigprocmask(k, kernel::sig_setmask, &none, nullptr);
  }
  kernel::exit_group(k, shell_status(status));
}

/// Hides memory, environment, descriptors and directories of this process from the rest of the
/// container: in /proc, those of a process that is not dumpable are accessible only with
/// CAP_SYS_PTRACE in the user namespace in which its program was executed. That is the host's,
/// where the container's root has no capability. Must follow the mapping of ids: root owns
/// /proc/self/uid_map of a process that is not dumpable. man 2 prctl, PR_SET_DUMPABLE; man 5 proc.
/// Executing a program makes the process dumpable again.
template <kernel::Kernel K>
[[nodiscard]] kernel::Returned<void> hide_from_container(K& k) noexcept {
  return kernel::prctl(k, kernel::pr_set_dumpable, 0);
}

/// Closes what only the container's assembly needed, including descriptors that lead to the
/// host's root.
template <kernel::Kernel K>
void close_all_but(K& k, Fd kept) noexcept {
  const auto fd = static_cast<unsigned>(kept);
  if (fd > 3) (void)close_between(k, 3, fd - 1, 0);
  (void)close_between(k, fd < 3 ? 3 : fd + 1, ~0U, 0);
}

/// Resets signal handlers, which would run on the caller's memory or a copy of it, to the default.
/// Ignored signals stay ignored.
template <kernel::Kernel K>
void reset_handlers(K& k) noexcept {
  for (int signal = 1; signal <= 64; ++signal) {
    kernel::SigAction action;
    if (!kernel::sigaction(k, signal, nullptr, &action).ok()) continue;
    if (reinterpret_cast<std::uintptr_t>(action.handler) <= 1) continue;
    action = {};
    (void)kernel::sigaction(k, signal, &action, nullptr);
  }
}

/// The caller's signal mask and SIGCHLD action. The init blocks all signals and needs the default
/// SIGCHLD action, since it could not wait if SIGCHLD were ignored; the program gets the caller's
/// back.
struct CallerSignals {
  std::uint64_t mask = 0;
  kernel::SigAction on_child{};

  template <kernel::Kernel K>
  void block(K& k) noexcept {
    (void)kernel::sigprocmask(k, kernel::sig_setmask, &every_signal, &mask);
  }
  template <kernel::Kernel K>
  void expect_children(K& k) noexcept {
    const kernel::SigAction usual;
    (void)kernel::sigaction(k, kernel::sigchld, &usual, &on_child);
  }
  template <kernel::Kernel K>
  void restore(K& k) const noexcept {
    (void)kernel::sigaction(k, kernel::sigchld, &on_child, nullptr);
    (void)kernel::sigprocmask(k, kernel::sig_setmask, &mask, nullptr);
  }
};

/// In the child, all signals blocked: makes the container from step `first` on, and starts the
/// program in a process that is killed when this one ends. Returns the program's pid, or an error,
/// in the process where it occurred; that process has to report it and exit.
template <kernel::Kernel K>
[[nodiscard]] Result<Pid> start_inside(K& k, const Plan& plan, const Execution& execution,
                                       std::size_t first, const CallerSignals& signals) noexcept {
  const bool executes = std::holds_alternative<step::Execute>(plan.steps.back());
  Plan container = plan;
  if (executes) container.steps = plan.steps.first(plan.steps.size() - 1);
  if (const auto made = execute(k, container, execution, Descriptors::close_at_exec, first); !made)
    return failure(made.error());
  // Before the program exists, since it could look at once.
  const auto hidden = hide_from_container(k);
  const auto program =
      hidden.ok() ? kernel::fork(k, 0) : kernel::Returned<Pid>{hidden.raw, hidden.call};
  if (program.ok() && program.value() == Pid::none) {
    // Where there is no pid namespace, nothing else ties the program to its supervisor.
    (void)kernel::prctl(k, pr_set_pdeathsig, sigkill);
    signals.restore(k);
    return failure(
        execute(k, plan, execution, Descriptors::close_at_exec, plan.steps.size() - 1).error());
  }
  if (!program.ok()) report_all_made(k, plan, execution.made);
  return as_result(program);
}

}  // namespace detail

/// Makes the container of `plan` in a child and supervises the program in it. Never returns: exits
/// like the program or, on an error, with the status that `report(error)` returns, called in the
/// process where it occurred. For programs without threads; copies the caller (fork).
template <kernel::Kernel K, class Report>
[[noreturn]] void supervise_plan(K& k, const Plan& plan, const Execution& execution,
                                 Report report) noexcept {
  detail::CallerSignals signals;
  signals.block(k);
  signals.expect_children(k);
  const auto* creates = std::get_if<step::CreateNamespaces>(&plan.steps[0]);
  Fd ends[2] = {Fd::none, Fd::none};  // carries the program's status out, signals included
  const auto piped = kernel::pipe(k, ends);
  const auto started =
      piped.ok()
          ? kernel::fork(k, creates == nullptr ? 0 : static_cast<std::uint64_t>(creates->flags))
          : kernel::Returned<Pid>{piped.raw, piped.call};
  if (!started.ok()) {
    Error error = as_result(started).error();
    error.step = static_cast<StepIndex>(0);
    kernel::exit_group(k, report(error));
  }

  if (started.value() != Pid::none) {  // outside
    (void)kernel::close(k, ends[1]);
    const int status = detail::supervise(k, started.value());
    int inner = 0;
    const auto told = kernel::read(k, ends[0], &inner, sizeof inner);
    detail::end_with_status(k, told.ok() && told.value() == sizeof inner ? inner : status);
  }

  // Inside: process 1 of a new pid namespace. It must not outlive the process outside, which may
  // have died before this prctl took effect.
  (void)kernel::prctl(k, detail::pr_set_pdeathsig, detail::sigkill);
  (void)kernel::close(k, ends[0]);
  if (detail::has_no_reader(k, ends[1]))
    kernel::exit_group(k, detail::shell_status(0, detail::sigkill));
  const auto program =
      detail::start_inside(k, plan, execution, creates == nullptr ? 0 : 1, signals);
  if (!program) kernel::exit_group(k, report(program.error()));
  detail::close_all_but(k, ends[1]);
  const int status = detail::supervise(k, *program);
  (void)kernel::write(k, ends[1], &status, sizeof status);
  kernel::exit_group(k, detail::shell_status(status));  // an init can't kill itself by a signal
}

}  // namespace ch
