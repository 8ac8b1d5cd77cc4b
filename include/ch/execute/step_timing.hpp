// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. A Kernel that knows how long each step of a plan took: `ch-run --time-steps`
// and the launch benchmarks. Since a last step Execute never comes back, the times are
// handed out when it is about to begin.
#pragma once

#include "ch/kernel/timing.hpp"
#include "ch/plan/plan.hpp"

namespace ch {

/// Wraps `K`. `report(span of nanoseconds, one per step so far)` is called before Execute.
/// A plan that starts over (overlay) adds to the steps it repeats. Room for 128 steps;
/// later ones are not timed.
template <kernel::Kernel K, class Report>
class StepTiming {
 public:
  StepTiming(K& inner, Report report) noexcept : inner_(inner), report_(report) {}

  template <class... Arguments>
  long call(kernel::Call which, Arguments... arguments) noexcept {
    return inner_.call(which, arguments...);
  }

  void on_step(StepIndex index, const Step& step) noexcept {
    const std::uint64_t now = kernel::monotonic_ns(inner_);
    if (current_ < size_) nanoseconds_[current_] += now - begun_;
    current_ = static_cast<std::size_t>(index);
    if (current_ < capacity && current_ >= size_) size_ = current_ + 1;
    if (std::holds_alternative<step::Execute>(step))
      report_(std::span<const std::uint64_t>(nanoseconds_, current_ < size_ ? current_ : size_));
    begun_ = kernel::monotonic_ns(inner_);
  }

 private:
  static constexpr std::size_t capacity = 128;

  K& inner_;
  Report report_;
  std::uint64_t nanoseconds_[capacity] = {};
  std::size_t size_ = 0;
  std::size_t current_ = capacity;
  std::uint64_t begun_ = 0;
};

}  // namespace ch
