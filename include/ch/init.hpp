// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. The init of a container that needs a child (a pid or time namespace): the child
// makes the container and, as its process 1, starts the program, adopts orphans and reaps
// them, and passes signals on to the program, which as process 1 would ignore them. When
// process 1 ends the kernel kills all others inside, so nothing survives.
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

/// How a shell gives the end of a program: its code, or 128 and the signal that killed it.
[[nodiscard]] constexpr int shell_status(int code, int signal) noexcept {
  return signal == 0 ? code : 128 + signal;
}
/// The same of a status as in man 2 wait.
[[nodiscard]] constexpr int shell_status(int status) noexcept {
  return shell_status((status >> 8) & 0xff, status & 0x7f);
}

/// Waits for `child` and passes on the signals that come meanwhile. All signals must be
/// blocked. Reaps every child, its own and adopted ones; returns the status of `child`.
template <kernel::Kernel K>
[[nodiscard]] int supervise(K& k, Pid child) noexcept {
  for (;;) {
    kernel::SigInfo info;
    const auto signal = kernel::sigwait(k, every_signal, info);
    if (!signal.ok()) continue;  // EINTR
    if (signal.value() == kernel::sigchld) {
      for (int status = 0;;) {
        const auto ended = kernel::wait4(k, kernel::any_child, status, kernel::wnohang);
        if (!ended.ok() || ended.value() == Pid::none) break;
        if (ended.value() == child) return status;
      }
    } else if (info.code != kernel::si_kernel) {
      (void)kernel::kill(k, child, signal.value());
    } else if (signal.value() == sigtstp) {
      // The terminal has told the program itself; a shell watches us for stopping.
      (void)kernel::kill(k, kernel::getpid(k).value(), sigstop);
    }
  }
}

/// Has the other side of a pipe, whose writing end this is, been closed by everyone?
template <kernel::Kernel K>
[[nodiscard]] bool nobody_reads(K& k, Fd writing_end) noexcept {
  kernel::PollFd pipe{writing_end};
  const auto polled = kernel::poll(k, &pipe, 1, 0);
  return polled.ok() && (pipe.revents & kernel::pollerr) != 0;
}

/// Ends this process as `status` (man 2 wait) says another ended: the same exit code, or
/// death by the same signal, without a second core file.
template <kernel::Kernel K>
[[noreturn]] void end_like(K& k, int status) noexcept {
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
/// container: in /proc, those of a process that is not dumpable are for holders of
/// CAP_SYS_PTRACE in the user namespace where its program was executed. That is the host's,
/// where root of the container holds nothing. Not before the ids are mapped, because then the
/// files in /proc/self that take the maps belong to root as well. man 2 prctl,
/// PR_SET_DUMPABLE; man 5 proc. A program that is executed is dumpable again.
template <kernel::Kernel K>
[[nodiscard]] kernel::Returned<void> hide_from_container(K& k) noexcept {
  return kernel::prctl(k, kernel::pr_set_dumpable, 0);
}

/// Closes what only the container's assembly needed, the way to the host's root among it.
template <kernel::Kernel K>
void close_all_but(K& k, Fd kept) noexcept {
  const auto fd = static_cast<unsigned>(kept);
  if (fd > 3) (void)close_between(k, 3, fd - 1, 0);
  (void)close_between(k, fd < 3 ? 3 : fd + 1, ~0U, 0);
}

/// Handlers of signals, which would run on a copy of the caller's memory or in it, become the
/// default. What is ignored stays so.
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

/// What the program gets back of its caller's, once its init has had all signals blocked and
/// SIGCHLD as usual: a caller that ignores that would leave us waiting for ever.
struct SignalsOfCaller {
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
  void give_back(K& k) const noexcept {
    (void)kernel::sigaction(k, kernel::sigchld, &on_child, nullptr);
    (void)kernel::sigprocmask(k, kernel::sig_setmask, &mask, nullptr);
  }
};

/// In the child, all signals blocked: makes the container from step `first` on, and starts the
/// program in a process that dies with us. Its pid; or an error, in the process that met it,
/// which has to report it and end.
template <kernel::Kernel K>
[[nodiscard]] Result<Pid> start_inside(K& k, const Plan& plan, const Execution& execution,
                                       std::size_t first, const SignalsOfCaller& signals) noexcept {
  const bool executes = std::holds_alternative<step::Execute>(plan.steps.back());
  Plan container = plan;
  if (executes) container.steps = plan.steps.first(plan.steps.size() - 1);
  if (const auto made = execute(k, container, execution, Descriptors::close_at_exec, first); !made)
    return failure(made.error());
  // The program may look as soon as it is there, so this comes before.
  const auto hidden = hide_from_container(k);
  const auto program =
      hidden.ok() ? kernel::fork(k, 0) : kernel::Returned<Pid>{hidden.raw, hidden.call};
  if (program.ok() && program.value() == Pid::none) {
    // Where there is no pid namespace, nothing else ties the program to its supervisor.
    (void)kernel::prctl(k, pr_set_pdeathsig, sigkill);
    signals.give_back(k);
    return failure(
        execute(k, plan, execution, Descriptors::close_at_exec, plan.steps.size() - 1).error());
  }
  if (!program.ok()) name_all_made(k, plan, execution.made);
  return as_result(program);
}

}  // namespace detail

/// Makes the container of `plan` in a child and supervises the program in it. Returns
/// only an error, in the process that met it: in the caller if there was no child, else
/// in a child whose answer must be to report and exit. `report(error)` does that and
/// gives the exit status. For programs without threads; copies the caller (fork).
template <kernel::Kernel K, class Report>
[[noreturn]] void supervise_plan(K& k, const Plan& plan, const Execution& execution,
                                 Report report) noexcept {
  detail::SignalsOfCaller signals;
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
    detail::end_like(k, told.ok() && told.value() == sizeof inner ? inner : status);
  }

  // Inside: process 1 of a new pid namespace. It must not outlive the one outside, which
  // may be dead before the kernel has been asked to tell.
  (void)kernel::prctl(k, detail::pr_set_pdeathsig, detail::sigkill);
  (void)kernel::close(k, ends[0]);
  if (detail::nobody_reads(k, ends[1]))
    kernel::exit_group(k, detail::shell_status(0, detail::sigkill));
  const auto program =
      detail::start_inside(k, plan, execution, creates == nullptr ? 0 : 1, signals);
  if (!program) kernel::exit_group(k, report(program.error()));
  detail::close_all_but(k, ends[1]);
  const int status = detail::supervise(k, *program);
  (void)kernel::write(k, ends[1], &status, sizeof status);
  kernel::exit_group(k, detail::shell_status(status));  // an init can't die of a signal
}

}  // namespace ch
