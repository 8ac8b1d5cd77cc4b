// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. The executor: the only code that turns a plan into a container.
#pragma once

#include "ch/execute/execution.hpp"
#include "ch/execute/perform_peers.hpp"
#include "ch/execute/roll_back.hpp"

namespace ch {

namespace detail {

/// Did a call of the mount API fail because the kernel lacks it?
[[nodiscard]] constexpr bool lacks_mount_api(const Error& error) noexcept {
  using kernel::Call;
  if (error.code != Errno::enosys) return false;
  for (const Call call : {Call::open_tree, Call::move_mount, Call::mount_setattr, Call::fsopen,
                          Call::fsconfig, Call::fsmount})
    if (error.operation == call) return true;
  return false;
}

/// The last step that is done: `i`, or the one before AdmitPeers if the meeting has made us a
/// joiner, for whom everything up to that is done.
[[nodiscard]] inline std::size_t next_step(const AssemblyState& a, std::size_t i) noexcept {
  if (!std::holds_alternative<step::MeetPeers>(a.steps[i]) || a.gathering->role == Role::creator)
    return i;
  while (i + 1 < a.steps.size() && !std::holds_alternative<step::AdmitPeers>(a.steps[i + 1])) ++i;
  return i;
}

}  // namespace detail

/// Performs the steps in order and stops at the first that fails, with its index in
/// the error. A last step Execute does not return on success.
///
/// Effect on failure: descriptors are closed as `descriptors` says. What was made in a kept layer
/// is removed again, and what was made in the image is reported, unless Execute failed, in a
/// complete container, or peers have been admitted. Namespaces that were entered stay entered, with
/// their mounts, so the process can only report and exit. Allocates nothing, touches no libc, may
/// run between clone and exec. Execution begins at step `first`, if the caller has done the earlier
/// ones by other means (clone's flags).
///
/// Mount points and the mount API are assumed to exist. If a mount point that may be created is
/// missing, or a filter hides the API, the tree so far, which nobody has seen, is discarded and
/// assembled again: over an overlay, or by mount(2). Only a launch that needs it pays for it.
///
/// Optional callbacks of the kernel `k`: `on_step(StepIndex, const Step&)` before each step;
/// `on_joined(const Gathering&)` after joining a container; `on_skipped(const step::Bind&)` if a
/// bind is left out because source or mount point is missing or of the wrong kind;
/// `on_left(ZString)` with each path that a failed launch has created and does not remove.
///
/// `execution` is from prepare() for this plan, a new one for each call: nothing is allocated here.
/// The plan is only read, so several threads can execute it at the same time.
template <kernel::Kernel K>
[[nodiscard]] Result<void> execute(K& k, const Plan& plan, const Execution& execution,
                                   Descriptors descriptors = Descriptors::close_now,
                                   std::size_t first = 0) noexcept {
  AssemblyState state{.steps = plan.steps, .mode = plan.assembly, .descriptors = descriptors};
  state.made = execution.made;
  state.gathering = execution.gathering;
  if (state.gathering != nullptr) state.gathering->descriptors = descriptors;
  detail::keep_descriptors(k, plan.steps.subspan(first));
  std::size_t image = plan.steps.size();
  for (std::size_t i = first; i < plan.steps.size(); ++i) {
    const auto index = static_cast<StepIndex>(i);
    state.index = i;
    if (std::holds_alternative<step::OpenImage>(plan.steps[i])) image = i;
    if constexpr (requires { k.on_step(index, plan.steps[i]); }) k.on_step(index, plan.steps[i]);
    const bool had_overlay = state.overlay_requested;
    const bool in_tree = image <= i;
    Result<void> done =
        std::visit([&](const auto& s) noexcept { return perform(k, state, s); }, plan.steps[i]);
    if (done) {
      i = detail::next_step(state, i);
      continue;
    }
    const bool older =
        in_tree && state.mode != Assembly::classic && detail::lacks_mount_api(done.error());
    bool again = older || (state.overlay_requested && !had_overlay);
    if (again) {
      const Result<void> unmounted = detail::unmount_staging(k, state);
      if (!unmounted) done = failure(unmounted.error());
      again = unmounted.has_value();
    }
    // A second attempt, too, must find a kept layer as it was.
    const bool admitted = state.gathering != nullptr && state.gathering->admitted;
    const bool stands = admitted || std::holds_alternative<step::Execute>(plan.steps[i]);
    if (!stands && (!again || state.layer.directory != Fd::none)) detail::roll_back(k, state);
    state.drop(k);
    if (again) {
      if (older) state.mode = Assembly::classic;
      i = image - 1;
      continue;
    }
    if (state.gathering != nullptr) detail::abandon(k, *state.gathering);
    done.error().step = index;
    return done;
  }
  state.drop(k);
  return {};
}

/// The same; allocates what the execution needs in `arena`, to which an error's `why` may point.
/// ENOMEM: it is too small.
template <kernel::Kernel K>
[[nodiscard]] Result<void> execute(K& k, const Plan& plan, Arena& arena,
                                   Descriptors descriptors = Descriptors::close_now,
                                   std::size_t first = 0) noexcept {
  const Result<Execution> execution = prepare(plan, arena);
  if (!execution) return failure(execution.error());
  return execute(k, plan, *execution, descriptors, first);
}

}  // namespace ch
