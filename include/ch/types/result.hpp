// SPDX-License-Identifier: Apache-2.0
//
// Floor 2. What went wrong, as a value: which call, its error number, at which step
// of which plan, on which path. Nothing is formatted here; `explain` (floor 3) turns
// an Error and the host's facts into a cause and a remedy.
// Result<T> is tl::expected, with std::expected's interface, until C++23 brings it.
#pragma once

// An assertion that fails would call into libc, where the launch path can't follow.
#ifndef TL_ASSERT
#define TL_ASSERT(x) static_cast<void>(0)
#endif
#include <tl/expected.hpp>

#include "ch/kernel/kernel.hpp"
#include "ch/types/text.hpp"

namespace ch {

using kernel::Errno;

/// Position of a step in its plan, from 0; `none` outside of any plan.
enum class StepIndex : int { none = -1 };

/// An operation that failed. Plain data: it is written by a child that shares our
/// memory and read by the parent after the child is gone. `path` views what the plan
/// or the caller named and lives as long as that.
struct Error {
  Errno code = Errno::none;
  kernel::Call operation = kernel::Call::none;  // none: found while planning
  StepIndex step = StepIndex::none;
  ZString path{};

  friend constexpr bool operator==(const Error&, const Error&) noexcept = default;
};

template <class T>
using Result = tl::expected<T, Error>;

[[nodiscard]] constexpr auto failure(Error error) noexcept { return tl::unexpected<Error>(error); }

/// The kernel's answer as a Result, naming the path it was about.
template <class T>
[[nodiscard]] constexpr Result<T> lift(kernel::Returned<T> returned, ZString path = {}) noexcept {
  if (!returned.ok())
    return failure({returned.error(), returned.call, StepIndex::none, path});
  if constexpr (std::is_void_v<T>)
    return {};
  else
    return returned.value();
}

}  // namespace ch

/// `CHARLIE_TRY(expression)`: leaves the function with the error, if there is one.
/// A macro because only a macro can return from its user; the one we allow ourselves.
#define CHARLIE_TRY(...)                                                    \
  do {                                                                      \
    if (auto charlie_try = (__VA_ARGS__); !charlie_try)                     \
      return ::ch::failure(charlie_try.error());                            \
  } while (false)
