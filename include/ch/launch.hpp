// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. Making a container real: enter (this process becomes it), spawn (a child
// does, without copying this process) and run (spawn and wait). All are safe in a
// process with threads; none touches the heap. Source: man 2 clone, vfork, wait.
#pragma once

#include "ch/container.hpp"
#include "ch/plan/execute.hpp"

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
  friend constexpr bool operator==(ExitStatus, ExitStatus) noexcept = default;
};

/// A started child. Someone must wait for it, as for any child.
struct Child {
  Pid pid{};
};

/// Moves the calling process into the container; on success it is inside, with no
/// descriptor left over. For single-threaded programs: the kernel lets no thread change
/// its user namespace alone (EINVAL). On failure the process may be half-way in and
/// should end. Allocates only in `arena` (16 KiB is plenty).
template <kernel::Kernel K, class... Policies>
[[nodiscard]] Result<void> enter(K& k, const Container<Policies...>& container,
                                 Arena& arena) noexcept {
  static_assert(Container<Policies...>::namespace_set::enters_in_place,
                "Charlie: a process can't move itself to a new pid or time namespace, only its "
                "children; use ch::spawn or ch::run for this container, or leave those out.");
  const Result<Plan> plan = container.plan(probe(k), arena);
  if (!plan) return failure(plan.error());
  return execute(k, *plan);
}

/// Waits until `child` has ended. Retries when a signal handler interrupts it.
template <kernel::Kernel K>
[[nodiscard]] Result<ExitStatus> wait(K& k, Child child) noexcept {
  int status = 0;
  for (;;) {
    const auto ended = kernel::wait4(k, child.pid, status);
    if (ended.ok()) break;
    if (ended.error() != Errno::eintr) return failure(lift(ended).error());
  }
  return ExitStatus{(status >> 8) & 0xff, status & 0x7f};
}

namespace detail {

/// What parent and child share while the parent sleeps in clone.
template <kernel::Kernel K>
struct ChildStart {
  K& k;
  const Plan& plan;
  std::size_t first_step;
  std::uint64_t signal_mask;
  bool reset_handlers;
  Result<void> outcome{};

  static long run(void* self) noexcept {
    auto& start = *static_cast<ChildStart*>(self);
    // A handler of the parent's must never run here, on memory that we share.
    if (start.reset_handlers) {
      for (int signal = 1; signal <= 64; ++signal) {
        kernel::SigAction action;
        if (!kernel::sigaction(start.k, signal, nullptr, &action).ok()) continue;
        if (reinterpret_cast<std::uintptr_t>(action.handler) <= 1) continue;
        action = {};
        (void)kernel::sigaction(start.k, signal, &action, nullptr);
      }
    }
    (void)kernel::sigprocmask(start.k, kernel::sig_setmask, &start.signal_mask, nullptr);
    start.outcome = execute(start.k, start.plan, Descriptors::close_at_exec, start.first_step);
    return 127;  // seen by no one: the parent takes the outcome and reaps us
  }
};

/// Enough for the deepest path through `execute` (a look-up without openat2), with room.
inline constexpr std::size_t child_stack_size = 96 * 1024;

}  // namespace detail

/// Executes `plan`, which ends in Execute, in a child that borrows this process's memory
/// until the program starts (clone with CLONE_VM and CLONE_VFORK): the cost does not
/// grow with the size of this process, and a failure in the child is returned here,
/// after the child is gone. Takes its stack from `arena` (96 KiB).
///
/// Errors: those of the steps; of clone3: EAGAIN (process limit), ENOSPC, EPERM and
/// EINVAL as for unshare, reported for step 0. ENOMEM: arena too small. clone3 is of
/// kernel 5.3; under filters that refuse it, clone is used.
template <kernel::Kernel K>
[[nodiscard]] Result<Child> spawn_plan(K& k, const Plan& plan, Arena& arena) noexcept {
  auto* stack = static_cast<std::byte*>(arena.allocate(detail::child_stack_size, 16));
  if (stack == nullptr)
    return failure({Errno::enomem, kernel::Call::none, StepIndex::none, "child stack"});
  const auto* creates = std::get_if<step::CreateNamespaces>(&plan.steps[0]);

  const std::uint64_t all_signals = ~0ULL;
  std::uint64_t mask = 0;
  (void)kernel::sigprocmask(k, kernel::sig_setmask, &all_signals, &mask);
  detail::ChildStart<K> start{k, plan, creates != nullptr ? 1U : 0U, mask, false};
  kernel::CloneArgs args;
  args.flags = kernel::clone_vm | kernel::clone_vfork | kernel::clone_clear_sighand |
               (creates != nullptr ? static_cast<std::uint64_t>(creates->flags) : 0);
  args.exit_signal = kernel::sigchld;
  args.stack = reinterpret_cast<std::uint64_t>(stack);
  args.stack_size = detail::child_stack_size;
  auto cloned = kernel::clone3(args, &detail::ChildStart<K>::run, &start);
  if (!cloned.ok() && kernel::lacks_clone3(cloned.error())) {
    start.reset_handlers = true;
    const std::uint64_t flags = (args.flags & ~kernel::clone_clear_sighand) | kernel::sigchld;
    cloned = kernel::clone(flags, stack + detail::child_stack_size, &detail::ChildStart<K>::run,
                           &start);
  }
#if defined(__SANITIZE_ADDRESS__) || defined(CHARLIE_ADDRESS_SANITIZER)
  // The child never returned from its last frames, whose marks in the shadow memory, which
  // it shared as well, would be there for the next one.
  __asan_unpoison_memory_region(stack, detail::child_stack_size);
#endif
  (void)kernel::sigprocmask(k, kernel::sig_setmask, &mask, nullptr);

  if (!cloned.ok()) {
    Error error = lift(cloned).error();
    if (creates != nullptr) error.step = static_cast<StepIndex>(0);
    return failure(error);
  }
  const Child child{cloned.value()};
  if (!start.outcome) {
    (void)wait(k, child);
    return failure(start.outcome.error());
  }
  return child;
}

/// Starts `program` in `container`, as a child. See spawn_plan for how, and for errors.
template <kernel::Kernel K, class... Policies>
[[nodiscard]] Result<Child> spawn(K& k, const Container<Policies...>& container,
                                  const Program& program, Arena& arena) noexcept {
  const Result<Plan> plan = container.plan(probe(k), program, arena);
  if (!plan) return failure(plan.error());
  return spawn_plan(k, *plan, arena);
}

/// spawn, then wait for the end of the program.
template <kernel::Kernel K, class... Policies>
[[nodiscard]] Result<ExitStatus> run(K& k, const Container<Policies...>& container,
                                     const Program& program, Arena& arena) noexcept {
  const Result<Child> child = spawn(k, container, program, arena);
  if (!child) return failure(child.error());
  return wait(k, *child);
}

}  // namespace ch
