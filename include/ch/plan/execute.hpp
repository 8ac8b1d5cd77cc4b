// SPDX-License-Identifier: Apache-2.0
//
// Floor 3. The executor: the only code that turns a plan into a container.
#pragma once

#include "ch/plan/perform_mounts.hpp"

namespace ch {

/// Performs the steps in order and stops at the first that fails, with its index in
/// the error. A last step Execute does not return on success.
///
/// Effect on failure: descriptors are closed as `descriptors` says; a detached tree is
/// gone with them; namespaces that were entered stay entered, so the process can only
/// report and end. Allocates nothing, touches no libc, may run between clone and exec.
/// `first` skips steps that the caller has done by other means (clone's flags).
///
/// A kernel with `on_step(StepIndex, const Step&)` is told before each step.
template <kernel::Kernel K>
[[nodiscard]] Result<void> execute(K& k, const Plan& plan,
                                   Descriptors descriptors = Descriptors::close_now,
                                   std::size_t first = 0) noexcept {
  Assembling state{.mode = plan.assembly, .descriptors = descriptors};
  for (std::size_t i = first; i < plan.steps.size(); ++i) {
    const auto index = static_cast<StepIndex>(i);
    if constexpr (requires { k.on_step(index, plan.steps[i]); }) k.on_step(index, plan.steps[i]);
    Result<void> done =
        std::visit([&](const auto& s) noexcept { return perform(k, state, s); }, plan.steps[i]);
    if (!done) {
      state.drop(k);
      done.error().step = index;
      return done;
    }
  }
  state.drop(k);
  return {};
}

}  // namespace ch
