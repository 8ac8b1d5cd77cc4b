// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. The executor: the only code that turns a plan into a container.
#pragma once

#include "ch/execute/execution.hpp"
#include "ch/execute/perform_peers.hpp"
#include "ch/execute/roll_back.hpp"

namespace ch {

namespace detail {

/// Did a call of the mount API return that there is no such call?
[[nodiscard]] constexpr bool lacks_mount_api(const Error& error) noexcept {
  using kernel::Call;
  if (error.code != Errno::enosys) return false;
  for (const Call call : {Call::open_tree, Call::move_mount, Call::mount_setattr, Call::fsopen,
                          Call::fsconfig, Call::fsmount})
    if (error.operation == call) return true;
  return false;
}

/// The step before the next one: `i`, unless a meeting has made us a joiner, who finds
/// everything up to AdmitPeers done.
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
/// Effect on failure: descriptors are closed as `descriptors` says; what was made in a layer that
/// is kept is taken back, and what was made in the image is named, unless it is Execute that
/// fails, in a container that stands, or peers have been admitted; namespaces that were entered
/// stay entered, with what is mounted there, so the process can only report and end. Allocates
/// nothing, touches no libc, may run between clone and exec. `first` skips steps that the caller
/// has done by other means (clone's flags).
///
/// Mount points are taken to exist, and the mount API to be there. Where a mount point
/// that may be made is missing, or a filter hides the API from a kernel that has it, the
/// tree so far, which nobody has seen, is dropped and put together again: over an overlay,
/// or by mount(2). Only the launch that needs it pays for it.
///
/// A kernel with `on_step(StepIndex, const Step&)` is told before each step; one with
/// `on_joined(const Gathering&)`, which container it has come to; one with
/// `on_skipped(const step::Bind&)`, which bind is left out since there is nothing to bind; one
/// with `on_left(ZString)`, the path of what a failed launch has made and does not take back.
///
/// `execution` is what prepare() has made of this plan, for this time only: then nothing is
/// allocated here. The plan is only read, so that threads can execute it at the same time.
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
    const bool again = older || (state.overlay_requested && !had_overlay);
    if (again) detail::unmount_staging(k, state);
    // A layer has to be found as it was by the second try, too.
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

/// The same with what the execution needs in `arena`, where the cause that an error names may
/// stand. ENOMEM: it is too small.
template <kernel::Kernel K>
[[nodiscard]] Result<void> execute(K& k, const Plan& plan, Arena& arena,
                                   Descriptors descriptors = Descriptors::close_now,
                                   std::size_t first = 0) noexcept {
  const Result<Execution> execution = prepare(plan, arena);
  if (!execution) return failure(execution.error());
  return execute(k, plan, *execution, descriptors, first);
}

}  // namespace ch
