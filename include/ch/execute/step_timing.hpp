// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. A Kernel that measures how long each step of a plan takes: for `ch-run --time-steps`
// and the launch benchmarks. Since Execute, the last step, does not return, the times are reported
// just before it.
#pragma once

#include "ch/kernel/timing.hpp"
#include "ch/plan/plan.hpp"

namespace ch {

/// Wraps `K`. `report(span of nanoseconds, one per step so far)` is called before Execute.
/// If a plan starts over (overlay), the times of repeated steps add up. Room for 128 steps; later
/// ones are not timed.
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
