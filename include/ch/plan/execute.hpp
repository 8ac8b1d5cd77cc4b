// SPDX-License-Identifier: Apache-2.0
//
// Floor 3. The executor: the only code that turns a plan into a container.
#pragma once

#include "ch/plan/perform_admission.hpp"
#include "ch/plan/take_back.hpp"

namespace ch {

namespace detail {

/// Did a call of the mount API answer that there is no such call?
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
[[nodiscard]] constexpr std::size_t next_step(std::span<const Step> steps, std::size_t i) noexcept {
  const auto* meets = std::get_if<step::MeetPeers>(&steps[i]);
  if (meets == nullptr || meets->notes->role == Role::creator) return i;
  while (i + 1 < steps.size() && !std::holds_alternative<step::AdmitPeers>(steps[i + 1])) ++i;
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
template <kernel::Kernel K>
[[nodiscard]] Result<void> execute(K& k, const Plan& plan,
                                   Descriptors descriptors = Descriptors::close_now,
                                   std::size_t first = 0) noexcept {
  Assembling state{.steps = plan.steps, .mode = plan.assembly, .descriptors = descriptors};
  state.made = plan.made;
  for (std::uint8_t& note : state.made) note = 0;
  detail::keep_descriptors(k, plan.steps.subspan(first));
  std::size_t image = plan.steps.size();
  for (std::size_t i = first; i < plan.steps.size(); ++i) {
    const auto index = static_cast<StepIndex>(i);
    state.index = i;
    if (std::holds_alternative<step::OpenImage>(plan.steps[i])) image = i;
    if constexpr (requires { k.on_step(index, plan.steps[i]); }) k.on_step(index, plan.steps[i]);
    const bool had_overlay = state.wants_overlay;
    const bool in_tree = image <= i;
    Result<void> done =
        std::visit([&](const auto& s) noexcept { return perform(k, state, s); }, plan.steps[i]);
    if (done) {
      i = detail::next_step(plan.steps, i);
      continue;
    }
    const bool older =
        in_tree && state.mode != Assembly::classic && detail::lacks_mount_api(done.error());
    const bool again = older || (state.wants_overlay && !had_overlay);
    if (again) detail::take_down_workshop(k, state);
    // A layer has to be found as it was by the second try, too.
    const bool stands = state.admitted || std::holds_alternative<step::Execute>(plan.steps[i]);
    if (!stands && (!again || state.layer.directory != Fd::none)) detail::take_back(k, state);
    state.drop(k);
    if (again) {
      if (older) state.mode = Assembly::classic;
      i = image - 1;
      continue;
    }
    detail::abandon(k, state);
    done.error().step = index;
    return done;
  }
  state.drop(k);
  return {};
}

}  // namespace ch
