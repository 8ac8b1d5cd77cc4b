// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. The Kernel concept: one function through which every system call of the launch path
// passes, and `Linux`, which makes the call. Whatever watches, times, refuses or records system
// calls replaces this one function (recording.hpp, timing.hpp, narrating.hpp) and nothing else.
// Source: man 2 syscall.
#pragma once

#include <concepts>
#include <cstdint>

#include "ch/kernel/abi.hpp"
#include "ch/kernel/arch.hpp"
#include "ch/kernel/call.hpp"

namespace ch::kernel {

/// Purpose: the seam between what we decide and what the machine does.
///
/// Minimal definition: `long call(Call, long...)` with up to six arguments, noexcept,
/// that returns as the kernel does: a value, or -4095..-1 for an error.
///
/// Laws: a call that fails has changed nothing that a later call relies on; a model
/// that wraps another forwards arguments and result untouched unless its purpose
/// is to change them.
///
/// Models: Linux, Recording, Timing<K>, Narrating<K>.
template <class K>
concept Kernel = requires(K& k, long value) {
  { k.call(Call::close, value) } noexcept -> std::same_as<long>;
  { k.call(Call::openat2, value, value, value, value) } noexcept -> std::same_as<long>;
};

/// The real kernel. Stateless; every call is one instruction. Safe between clone
/// and exec, in threads and in signal handlers.
struct Linux {
  template <class... Arguments>
    requires(sizeof...(Arguments) <= 6 && (std::same_as<Arguments, long> && ...))
  [[gnu::always_inline]] long call(Call which, Arguments... arguments) const noexcept {
    const long a[6] = {arguments...};
    return arch::syscall6(static_cast<long>(which), a[0], a[1], a[2], a[3], a[4], a[5]);
  }
};
static_assert(Kernel<Linux>);

/// What a wrapper returns: the kernel's result and which call gave it, so that an error can name
/// its origin. Check `ok()` before `value()`.
template <class T>
struct [[nodiscard]] Returned {
  long raw = 0;
  Call call = Call::none;

  [[nodiscard]] constexpr bool ok() const noexcept { return raw >= 0 || raw < -4095; }
  [[nodiscard]] constexpr Errno error() const noexcept {
    return ok() ? Errno::none : static_cast<Errno>(-raw);
  }
  [[nodiscard]] constexpr T value() const noexcept {
    if constexpr (std::is_pointer_v<T>)
      return reinterpret_cast<T>(raw);
    else
      return static_cast<T>(raw);
  }
};

/// The same with no value: success or an error number.
template <>
struct [[nodiscard]] Returned<void> {
  long raw = 0;
  Call call = Call::none;

  [[nodiscard]] constexpr bool ok() const noexcept { return raw >= 0; }
  [[nodiscard]] constexpr Errno error() const noexcept {
    return ok() ? Errno::none : static_cast<Errno>(-raw);
  }
};

namespace detail {

template <class T>
[[gnu::always_inline]] constexpr long word(T value) noexcept {
  if constexpr (std::is_pointer_v<T>)
    return reinterpret_cast<long>(value);
  else
    return static_cast<long>(value);
}

/// Makes the system call `which` with arguments of any scalar type; the result is typed.
template <class T, Kernel K, class... Arguments>
[[gnu::always_inline]] inline Returned<T> make(K& kernel, Call which, Arguments... a) noexcept {
  return {kernel.call(which, word(a)...), which};
}

}  // namespace detail
}  // namespace ch::kernel
