// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. Launching a container: enter (moves this process into it), spawn (starts a program in
// it, without copying this process) and run (spawn and wait). All are safe in a process with
// threads; none touches the heap. Source: man 2 clone, vfork, wait.
#pragma once

#include "ch/container.hpp"
#include "ch/init.hpp"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHARLIE_ADDRESS_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(CHARLIE_ADDRESS_SANITIZER)
extern "C" void __asan_unpoison_memory_region(const volatile void* from, std::size_t size);
#endif

namespace ch {

/// How a process ended, man 2 wait.
struct ExitStatus {
  int code = 0;    // of exit, if signal is 0
  int signal = 0;  // that killed it

  /// As a shell reports it: the code, or 128 plus the signal. For main to return.
  [[nodiscard]] constexpr int shell_status() const noexcept {
    return detail::shell_status(code, signal);
  }
  friend constexpr bool operator==(ExitStatus, ExitStatus) noexcept = default;
};

/// A child that has been started. Someone must wait for it, as for any child.
struct StartedProcess {
  Pid pid{};
  Fd pidfd = Fd::none;  // set if the caller ignores SIGCHLD: wait4 then gets no status
};

/// Moves the calling process into the container; on success it is inside, with no descriptor
/// leaked. For single-threaded programs: the kernel lets no single thread change its user namespace
/// (EINVAL). On failure the process may have entered some namespaces and should exit. Allocates
/// only in `arena` (16 KiB is plenty).
template <kernel::Kernel K, class... Policies>
[[nodiscard]] Result<void> enter(K& k, const Container<Policies...>& container,
                                 Arena& arena) noexcept {
  static_assert(Container<Policies...>::namespace_set::enters_in_place,
                "Charlie: a process can't move itself to a new pid or time namespace, only its "
                "children; use ch::spawn or ch::run for this container, or leave those out.");
  const Result<Plan> plan = container.plan(probe(k), arena);
  if (!plan) return failure(plan.error());
  return execute(k, *plan, arena);
}

namespace detail {

/// How the process of `pidfd`, for which nobody can wait, has ended; an error if that is not known.
/// wait4 says so a moment before the kernel has the status: until then, waits, at most a second.
template <kernel::Kernel K>
[[nodiscard]] kernel::Returned<void> status_of_reaped(K& k, Fd pidfd, int& status) noexcept {
  constexpr std::uint64_t ten_ms = 10'000'000;
  auto told = kernel::pidfd_status(k, pidfd, status);
  for (int tries = 0; told.error() == Errno::enodata && tries < 100; ++tries) {
    kernel::PollFd reaped{pidfd, 0};  // no events but POLLHUP
    (void)kernel::poll(k, &reaped, 1, ten_ms);
    told = kernel::pidfd_status(k, pidfd, status);
  }
  return told;
}

/// Waits for `child`. If the caller ignores SIGCHLD, wait4 gets no status, but `pidfd`, if there is
/// one, provides it.
template <kernel::Kernel K>
[[nodiscard]] Result<ExitStatus> wait(K& k, StartedProcess child, Fd pidfd) noexcept {
  int status = 0;
  for (;;) {
    const auto ended = kernel::wait4(k, child.pid, status);
    if (ended.ok()) break;
    if (ended.error() == Errno::eintr) continue;
    if (ended.error() == Errno::echild && pidfd != Fd::none &&
        status_of_reaped(k, pidfd, status).ok())
      break;
    Error error = as_result(ended).error();
    if (error.code == Errno::echild) error.why = "SIGCHLD is ignored, or it was reaped elsewhere";
    return failure(error);
  }
  return ExitStatus{(status >> 8) & 0xff, status & 0x7f};
}

}  // namespace detail

/// Waits until `child` has ended, and closes its pidfd. Retries when a signal handler interrupts
/// it. ECHILD: the caller ignores SIGCHLD and the kernel, older than 6.15, has discarded the
/// status, or the child was reaped elsewhere.
template <kernel::Kernel K>
[[nodiscard]] Result<ExitStatus> wait(K& k, StartedProcess child) noexcept {
  const Result<ExitStatus> ended = detail::wait(k, child, child.pidfd);
  if (child.pidfd != Fd::none) (void)kernel::close(k, child.pidfd);
  return ended;
}

namespace detail {

/// What parent and child share while the parent sleeps in clone.
template <kernel::Kernel K>
struct ChildStart {
  K& k;
  const Plan& plan;
  const Execution& execution;
  std::size_t first_step;
  std::uint64_t signal_mask;
  bool reset_handlers;
  Result<void> outcome{};

  static long run(void* self) noexcept {
    auto& start = *static_cast<ChildStart*>(self);
    // The parent's signal handlers must never run here, on shared memory.
    if (start.reset_handlers) detail::reset_handlers(start.k);
    (void)kernel::sigprocmask(start.k, kernel::sig_setmask, &start.signal_mask, nullptr);
    start.outcome =
        execute(start.k, start.plan, start.execution, Descriptors::close_at_exec, start.first_step);
    return 127;  // seen by nobody: the parent reads the outcome and reaps us
  }
};

/// Enough for the deepest path through `execute` (a look-up without openat2), and some to spare.
inline constexpr std::size_t child_stack_size = 96 * 1024;

/// The namespaces that clone can make for `plan`; null if the child has to perform that step
/// itself.
[[nodiscard]] inline const step::CreateNamespaces* made_by_clone(const Plan& plan) noexcept {
  const auto* creates = std::get_if<step::CreateNamespaces>(&plan.steps[0]);
  return creates != nullptr && creates->enter == Fd::none ? creates : nullptr;
}

/// Does the program of `plan` need an init of ours? Yes in a new pid namespace, and if it joins
/// namespaces that only a child can enter.
[[nodiscard]] inline bool needs_init(const Plan& plan) noexcept {
  if (const auto* creates = std::get_if<step::CreateNamespaces>(&plan.steps[0]))
    return (creates->flags & ns::pid::flag) != NamespaceFlags::none;
  for (const Step& step : plan.steps) {
    const auto* joins = std::get_if<step::JoinNamespaces>(&step);
    if (joins == nullptr) break;
    if (needs_child(joins->flags)) return true;
  }
  return false;
}

/// Can only a child enter the namespaces of `plan`?
[[nodiscard]] inline bool enters_by_child(const Plan& plan) noexcept {
  const auto* creates = std::get_if<step::CreateNamespaces>(&plan.steps[0]);
  return needs_init(plan) || (creates != nullptr && needs_child(creates->flags));
}

/// Starts the program of `plan` as the child of an init. The init is our child, a copy of us
/// (fork), since it outlives the launch. It reports an error through a pipe, which is closed when
/// the program has started; the pointers in an Error are valid here too, since they point into the
/// plan. Meanwhile this process calls `outside()`, which uses the descriptor `outside_fd`; the init
/// closes that.
template <kernel::Kernel K, class Outside>
[[nodiscard]] Result<StartedProcess> spawn_init(K& k, const Plan& plan, const Execution& execution,
                                                Fd* pidfd, Outside outside,
                                                Fd outside_fd = Fd::none) noexcept {
  const auto* creates = std::get_if<step::CreateNamespaces>(&plan.steps[0]);
  Fd ends[2] = {Fd::none, Fd::none};
  if (const auto piped = kernel::pipe(k, ends); !piped.ok())
    return failure(as_result(piped).error());
  CallerSignals signals;
  signals.block(k);
  const auto init =
      kernel::fork(k, creates == nullptr ? 0 : static_cast<std::uint64_t>(creates->flags), pidfd);
  if (init.ok() && init.value() == Pid::none) {
    reset_handlers(k);
    if (outside_fd != Fd::none) (void)kernel::close(k, outside_fd);
    signals.expect_children(k);
    const auto program = start_inside(k, plan, execution, creates == nullptr ? 0 : 1, signals);
    if (!program) {
      const Error error = program.error();
      (void)kernel::write(k, ends[1], &error, sizeof error);
      kernel::exit_group(k, 127);
    }
    (void)close_between(k, 3, ~0U, 0);
    kernel::exit_group(k, shell_status(supervise(k, *program)));
  }
  (void)kernel::sigprocmask(k, kernel::sig_setmask, &signals.mask, nullptr);
  (void)kernel::close(k, ends[1]);
  if (init.ok()) outside();
  Error error;
  auto told = kernel::read(k, ends[0], &error, init.ok() ? sizeof error : 0);
  while (told.error() == Errno::eintr) told = kernel::read(k, ends[0], &error, sizeof error);
  (void)kernel::close(k, ends[0]);
  if (!init.ok()) {
    error = as_result(init).error();
    if (creates != nullptr) error.step = static_cast<StepIndex>(0);
    return failure(error);
  }
  const StartedProcess child{init.value()};
  if (!told.ok() || told.value() != sizeof error) return child;
  (void)wait(k, child, Fd::none);
  return failure(error);
}

/// Executes `plan` in a child that shares this process's memory until the program starts.
template <kernel::Kernel K>
[[nodiscard]] Result<StartedProcess> spawn_sharing_memory(K& k, const Plan& plan,
                                                          const Execution& execution, Arena& arena,
                                                          Fd* pidfd) noexcept {
  const Arena::Mark before = arena.mark();
  auto* stack = static_cast<std::byte*>(arena.allocate(child_stack_size, 16));
  if (stack == nullptr)
    return failure({Errno::enomem,
                    kernel::Call::none,
                    StepIndex::none,
                    {},
                    "the arena has no room for the child's stack"});
  const auto* creates = made_by_clone(plan);

  std::uint64_t mask = 0;
  (void)kernel::sigprocmask(k, kernel::sig_setmask, &every_signal, &mask);
  ChildStart<K> start{k, plan, execution, creates != nullptr ? 1U : 0U, mask, false};
  kernel::CloneArgs args;
  args.flags = kernel::clone_vm | kernel::clone_vfork | kernel::clone_clear_sighand |
               (creates != nullptr ? static_cast<std::uint64_t>(creates->flags) : 0);
  args.exit_signal = kernel::sigchld;
  if (pidfd != nullptr) {
    args.flags |= kernel::clone_pidfd;
    args.pidfd = reinterpret_cast<std::uint64_t>(pidfd);
  }
  args.stack = reinterpret_cast<std::uint64_t>(stack);
  args.stack_size = child_stack_size;
  auto cloned = kernel::clone3(args, &ChildStart<K>::run, &start);
  if (!cloned.ok() && kernel::lacks_clone3(cloned.error())) {
    start.reset_handlers = true;
    const std::uint64_t flags =
        (args.flags & ~(kernel::clone_clear_sighand | kernel::clone_pidfd)) | kernel::sigchld;
    cloned = kernel::clone(flags, stack + child_stack_size, &ChildStart<K>::run, &start);
  }
#if defined(__SANITIZE_ADDRESS__) || defined(CHARLIE_ADDRESS_SANITIZER)
  // The child never returned from its last frames. Their marks in the shadow memory, which is
  // shared too, would remain for the next child.
  __asan_unpoison_memory_region(stack, child_stack_size);
#endif
  (void)kernel::sigprocmask(k, kernel::sig_setmask, &mask, nullptr);
  arena.rewind(before);

  if (!cloned.ok()) {
    Error error = as_result(cloned).error();
    if (creates != nullptr) error.step = static_cast<StepIndex>(0);
    return failure(error);
  }
  const StartedProcess child{cloned.value()};
  if (!start.outcome) {
    (void)wait(k, child, Fd::none);
    return failure(start.outcome.error());
  }
  return child;
}

/// See spawn_plan. `pidfd`, if not null, is set to a pidfd of the child, or left alone if the
/// kernel provides none.
template <kernel::Kernel K>
[[nodiscard]] Result<StartedProcess> spawn(K& k, const Plan& plan, Arena& arena,
                                           Fd* pidfd) noexcept {
  const Arena::Mark before = arena.mark();
  const Result<Execution> execution = prepare(plan, arena);
  if (!execution) return failure(execution.error());
  const Result<StartedProcess> child =
      needs_init(plan) ? spawn_init(k, plan, *execution, pidfd, [] {})
                       : spawn_sharing_memory(k, plan, *execution, arena, pidfd);
  if (child)
    arena.rewind(before);  // the child has its own memory by now; an error may point into this one
  return child;
}

}  // namespace detail

/// Executes `plan`, which ends in Execute, in a child that borrows this process's memory
/// until the program starts (clone with CLONE_VM and CLONE_VFORK): the cost does not
/// grow with the size of this process, and a failure in the child is returned here,
/// after the child is gone. Takes its stack from `arena` (96 KiB), and releases everything when the
/// program has started; after an error, which may point there, it keeps some.
///
/// With a pid namespace the child is the namespace's init, a copy of this process (fork), and
/// the program is a child of that: signals to `StartedProcess::pid` are forwarded to the program,
/// and if one kills it, the exit code is 128 plus the signal. Like any child, it survives when the
/// caller is killed: a parent-death signal would be sent as soon as the thread that started it
/// ends.
///
/// Errors: those of the steps; of clone3: EAGAIN (process limit), ENOSPC, EPERM and
/// EINVAL as for unshare, reported for step 0. ENOMEM: arena too small. clone3 needs kernel 5.3;
/// where it is missing or filtered, clone is used.
template <kernel::Kernel K>
[[nodiscard]] Result<StartedProcess> spawn_plan(K& k, const Plan& plan, Arena& arena) noexcept {
  Fd pidfd = Fd::none;
  kernel::SigAction on_child;
  constexpr std::uintptr_t sig_ign = 1;
  constexpr std::uint64_t sa_nocldwait = 2;
  const bool discards_status = kernel::sigaction(k, kernel::sigchld, nullptr, &on_child).ok() &&
                               (reinterpret_cast<std::uintptr_t>(on_child.handler) == sig_ign ||
                                (on_child.flags & sa_nocldwait) != 0);
  Result<StartedProcess> child = detail::spawn(k, plan, arena, discards_status ? &pidfd : nullptr);
  if (child)
    child->pidfd = pidfd;
  else if (pidfd != Fd::none)
    (void)kernel::close(k, pidfd);
  return child;
}

/// Starts `program` in `container`, as a child. See spawn_plan for how, and for errors. Releases
/// what it took from `arena` when the program has started; after an error the plan stays there,
/// since the error may point into it.
template <kernel::Kernel K, class... Policies>
[[nodiscard]] Result<StartedProcess> spawn(K& k, const Container<Policies...>& container,
                                           const Program& program, Arena& arena) noexcept {
  const Arena::Mark before = arena.mark();
  const Result<Plan> plan = container.plan(probe(k), program, arena);
  if (!plan) return failure(plan.error());
  const Result<StartedProcess> child = spawn_plan(k, *plan, arena);
  if (child) arena.rewind(before);
  return child;
}

/// Spawns the program and waits for it. The arena can be reused for the next one.
template <kernel::Kernel K, class... Policies>
[[nodiscard]] Result<ExitStatus> run(K& k, const Container<Policies...>& container,
                                     const Program& program, Arena& arena) noexcept {
  const Arena::Mark before = arena.mark();
  const Result<Plan> plan = container.plan(probe(k), program, arena);
  if (!plan) return failure(plan.error());
  Fd pidfd = Fd::none;
  const Result<StartedProcess> child = detail::spawn(k, *plan, arena, &pidfd);
  if (child) arena.rewind(before);
  const Result<ExitStatus> ended =
      child ? detail::wait(k, *child, pidfd) : Result<ExitStatus>(failure(child.error()));
  if (pidfd != Fd::none) (void)kernel::close(k, pidfd);
  return ended;
}

/// Calls `function(argument)` in a child, a copy of this process (fork), and waits: for what a
/// process can't undo, such as entering namespaces. Its return value, 0 to 255, is the child's exit
/// status. For programs without threads.
template <kernel::Kernel K>
[[nodiscard]] Result<ExitStatus> call_in_child(K& k, int (*function)(void*),
                                               void* argument) noexcept {
  const auto child = kernel::fork(k, 0);
  if (child.ok() && child.value() == Pid::none) kernel::exit_group(k, function(argument));
  int status = 0;
  if (!child.ok()) return failure(as_result(child).error());
  auto ended = kernel::wait4(k, child.value(), status);
  while (ended.error() == Errno::eintr) ended = kernel::wait4(k, child.value(), status);
  if (!ended.ok()) return failure(as_result(ended).error());
  return ExitStatus{(status >> 8) & 0xff, status & 0x7f};
}

/// Executes the program at `path` on the host, in no container, as execve(2) does. Returns only on
/// failure, with the error.
template <kernel::Kernel K>
[[nodiscard]] Errno execute_on_host(K& k, const char* path, const char* const* argv,
                                    const char* const* envp) noexcept {
  return kernel::execve(k, path, argv, envp).error();
}

}  // namespace ch
