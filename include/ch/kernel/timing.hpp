// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. A Kernel with a stopwatch: records how long each system call took, to show where a
// launch spends its time. Source: man 2 clock_gettime.
#pragma once

#include "ch/kernel/process.hpp"

namespace ch::kernel {

/// Nanoseconds of the monotonic clock. A real system call, so it costs about as much as the
/// cheapest call that it times.
template <Kernel K>
[[nodiscard]] std::uint64_t monotonic_ns(K& k) noexcept {
  TimeSpec now;
  (void)clock_gettime(k, clock_monotonic, now);
  return static_cast<std::uint64_t>(now.sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.nsec);
}

/// Wraps `K` and records duration and kind of up to `Capacity` calls.
template <Kernel K, std::size_t Capacity = 256>
class Timing {
 public:
  struct Lap {
    Call call = Call::none;
    std::uint64_t nanoseconds = 0;
  };

  explicit Timing(K& inner) noexcept : inner_(inner) {}

  template <class... Arguments>
  long call(Call which, Arguments... arguments) noexcept {
    const std::uint64_t before = monotonic_ns(inner_);
    const long result = inner_.call(which, arguments...);
    const std::uint64_t after = monotonic_ns(inner_);
    if (size_ < Capacity) laps_[size_++] = {which, after - before};
    return result;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] const Lap& operator[](std::size_t i) const noexcept { return laps_[i]; }
  [[nodiscard]] std::uint64_t total() const noexcept {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < size_; ++i) sum += laps_[i].nanoseconds;
    return sum;
  }

 private:
  K& inner_;
  Lap laps_[Capacity] = {};
  std::size_t size_ = 0;
};

}  // namespace ch::kernel
