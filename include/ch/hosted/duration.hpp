// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. A length of time in whole nanoseconds, made from std::chrono's durations without
// their header, which alone takes half as long to compile as all of the launch path.
#pragma once

#include <type_traits>

#include "ch/kernel/process.hpp"

namespace ch {

namespace detail {
/// False, but only for a template that must not be used.
template <class>
inline constexpr bool has_unit = false;
}  // namespace detail

/// How long something may take. Converts from any std::chrono::duration: `5s`, `300ms`.
/// Fractions of a nanosecond count as a whole one.
struct Duration {
  long long nanoseconds = 0;

  constexpr Duration() noexcept = default;
  /// Refuses a number.
  template <class N>
  requires std::is_arithmetic_v<N>
  constexpr Duration(N) noexcept {  // NOLINT
    static_assert(detail::has_unit<N>,
                  "Charlie: a time has a unit: write 5s or 300ms, with #include <chrono> and using "
                  "namespace std::chrono_literals.");
  }
  template <class D>
  requires requires(const D& duration) {
    duration.count();
    D::period::num;
    D::period::den;
  }
  constexpr Duration(const D& duration) noexcept  // NOLINT: converts, its point
      : nanoseconds(in_nanoseconds(static_cast<long double>(duration.count()) * D::period::num *
                                   1e9L / D::period::den)) {}

 private:
  /// Beyond 250 years, or not a number: the maximum.
  [[nodiscard]] static constexpr long long in_nanoseconds(long double count) noexcept {
    constexpr long long most = 8'000'000'000'000'000'000;
    if (!(count < static_cast<long double>(most))) return most;
    if (count < -static_cast<long double>(most)) return -most;
    const auto whole = static_cast<long long>(count);
    return static_cast<long double>(whole) < count ? whole + 1 : whole;
  }
};

namespace detail {

/// The end of a time span that begins now, by the monotonic clock.
class Deadline {
 public:
  explicit Deadline(Duration from_now) noexcept : at_(now() + from_now.nanoseconds) {}

  /// Whole milliseconds until then, for poll: 0 once it has passed; at most an hour.
  [[nodiscard]] int left_ms() const noexcept {
    constexpr long long hour = 3'600'000;
    const long long left = at_ - now();
    if (left <= 0) return 0;
    const long long ms = (left - 1) / 1'000'000 + 1;
    return static_cast<int>(ms < hour ? ms : hour);
  }
  [[nodiscard]] Duration left() const noexcept {
    Duration rest;
    rest.nanoseconds = at_ - now();
    return rest;
  }

 private:
  [[nodiscard]] static long long now() noexcept {
    kernel::Linux k;
    kernel::TimeSpec time{};
    (void)kernel::clock_gettime(k, kernel::clock_monotonic, time);
    return static_cast<long long>(time.sec) * 1'000'000'000 + time.nsec;
  }
  long long at_;
};

}  // namespace detail
}  // namespace ch
