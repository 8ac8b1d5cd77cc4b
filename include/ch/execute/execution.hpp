// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. State of one execution of a plan that outlives the executor's stack: it is read after
// the executor has returned, or its process has died. It is in the caller's arena, never in the
// plan, which several threads may execute at the same time.
#pragma once

#include "ch/meet/gathering.hpp"

namespace ch {

/// Of one execution of one plan; made by prepare().
struct Execution {
  std::span<std::uint8_t> made{};  // per step: what it created and what lasts (roll_back.hpp)
  Gathering* gathering = nullptr;  // of the plan's peers, if any
};

/// Does a step of `plan` write anything that outlives the container?
[[nodiscard]] constexpr bool writes_what_lasts(const Plan& plan) noexcept {
  for (const Step& step : plan.steps) {
    const auto* image = std::get_if<step::OpenImage>(&step);
    const auto* layer = std::get_if<step::Overlay>(&step);
    if (image != nullptr && image->access == Access::read_write) return true;
    if (layer != nullptr && layer->kind == OverlayKind::directory) return true;
  }
  return false;
}

/// Allocates what an execution of `plan` needs: for most plans nothing; with a writable image or a
/// kept layer, a byte per step; with peers, 3 KiB and 24 bytes per peer. ENOMEM: the arena is too
/// small.
[[nodiscard]] inline Result<Execution> prepare(const Plan& plan, Arena& arena) noexcept {
  Execution execution;
  bool full = false;
  if (writes_what_lasts(plan)) {
    auto* const made = arena.make<std::uint8_t>(plan.steps.size());
    execution.made = {made, made == nullptr ? 0 : plan.steps.size()};
    full = made == nullptr;
  }
  if (!plan.steps.empty())
    if (const auto* meets = std::get_if<step::MeetPeers>(&plan.steps[0])) {
      execution.gathering = prepare_gathering(*meets, plan.steps, arena);
      full = full || execution.gathering == nullptr;
    }
  if (full)
    return failure({Errno::enomem,
                    kernel::Call::none,
                    StepIndex::none,
                    {},
                    "the arena is too small for the plan"});
  return execution;
}

}  // namespace ch
