// SPDX-License-Identifier: Apache-2.0
//
// Floor 2. What went wrong, as a value: which call, its error number, at which step
// of which plan, on which path. Nothing is formatted here; `explain` (floor 3b) turns
// an Error and the host's facts into a cause and a remedy.
// Result<T> has the part of std::expected<T, Error>'s interface that we use, so that it can be
// replaced by that one day. Not tl::expected, which includes <functional>: 42 000 lines for each
// file that includes it, four times the whole launch path.
#pragma once

#include <type_traits>

#include "ch/kernel/kernel.hpp"
#include "ch/types/text.hpp"

namespace ch {

using kernel::Errno;

/// Position of a step in its plan, from 0; `none` outside of any plan.
enum class StepIndex : int { none = -1 };

/// An operation that failed. Plain data: it is written by a child that shares our
/// memory and read by the parent after the child is gone. `path` views a text of the plan or the
/// caller and lives as long as that; if a place of a search path is at fault, the rest of that path
/// from there on (plan/search_path.hpp). `why`, one sentence, gives a cause that the kernel did not
/// report; empty if `code` says it all.
struct Error {
  Errno code = Errno::none;
  kernel::Call operation = kernel::Call::none;  // none: no call was made
  StepIndex step = StepIndex::none;
  TextAddress path{};
  TextAddress why{};

  friend constexpr bool operator==(const Error&, const Error&) noexcept = default;
};

/// An error that converts to a Result of any type, as std::unexpected does.
struct Unexpected {
  Error error;
};
[[nodiscard]] constexpr Unexpected failure(Error error) noexcept { return {error}; }

/// A value or an error. Plain data, so that a child that shares our memory can leave one. `*`, `->`
/// and value() need a value, error() an error: nothing is checked, and nothing throws.
template <class T>
class [[nodiscard]] Result {
 public:
  static_assert(std::is_trivially_copyable_v<T> && std::is_default_constructible_v<T>);
  using value_type = T;
  using error_type = Error;

  constexpr Result() noexcept : value_() {}
  constexpr Result(const T& value) noexcept : value_(value) {}  // NOLINT: as std::expected
  constexpr Result(const Unexpected& failed) noexcept           // NOLINT
      : error_(failed.error), has_value_(false) {}

  [[nodiscard]] constexpr bool has_value() const noexcept { return has_value_; }
  constexpr explicit operator bool() const noexcept { return has_value_; }
  [[nodiscard]] constexpr T& operator*() noexcept { return value_; }
  [[nodiscard]] constexpr const T& operator*() const noexcept { return value_; }
  [[nodiscard]] constexpr T* operator->() noexcept { return &value_; }
  [[nodiscard]] constexpr const T* operator->() const noexcept { return &value_; }
  [[nodiscard]] constexpr const T& value() const noexcept { return value_; }
  [[nodiscard]] constexpr T value_or(const T& other) const noexcept {
    return has_value_ ? value_ : other;
  }
  [[nodiscard]] constexpr Error& error() noexcept { return error_; }
  [[nodiscard]] constexpr const Error& error() const noexcept { return error_; }

 private:
  union {
    T value_;
    Error error_;
  };
  bool has_value_ = true;
};

/// The same without a value: success or an error.
template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  using error_type = Error;

  constexpr Result() noexcept : nothing_() {}
  constexpr Result(const Unexpected& failed) noexcept  // NOLINT: as std::expected
      : error_(failed.error), has_value_(false) {}

  [[nodiscard]] constexpr bool has_value() const noexcept { return has_value_; }
  constexpr explicit operator bool() const noexcept { return has_value_; }
  [[nodiscard]] constexpr Error& error() noexcept { return error_; }
  [[nodiscard]] constexpr const Error& error() const noexcept { return error_; }

 private:
  union {
    char nothing_;
    Error error_;
  };
  bool has_value_ = true;
};

/// The result of a system call as a Result; an error names `path`.
template <class T>
[[nodiscard]] constexpr Result<T> as_result(kernel::Returned<T> returned,
                                            ZString path = {}) noexcept {
  if (!returned.ok()) return failure({returned.error(), returned.call, StepIndex::none, path});
  if constexpr (std::is_void_v<T>)
    return {};
  else
    return returned.value();
}

}  // namespace ch

/// `CHARLIE_TRY(expression)`: returns the error, if there is one, from the calling function. A
/// macro because only a macro can do that; the only such one in this library.
#define CHARLIE_TRY(...)                                                                           \
  do {                                                                                             \
    if (auto charlie_try = (__VA_ARGS__); !charlie_try) return ::ch::failure(charlie_try.error()); \
  } while (false)
