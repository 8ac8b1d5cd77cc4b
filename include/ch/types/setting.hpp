// SPDX-License-Identifier: Apache-2.0
//
// Floor 2. A setting is known when the program is compiled (Fixed) or when it runs
// (Chosen), as an extent of std::mdspan is static or dynamic. Code reads both the
// same way; with Fixed the value costs no storage and its branch disappears.
#pragma once

#include "ch/kernel/language.hpp"

#include <concepts>

namespace ch {

/// A setting with the value V for every object of the type.
template <auto V>
struct Fixed {
  using value_type = decltype(V);
  [[nodiscard]] static constexpr value_type value() noexcept { return V; }
};

/// A setting that each object carries.
template <class T>
struct Chosen {
  using value_type = T;
  T chosen{};
  constexpr Chosen() noexcept = default;
  constexpr Chosen(T v) noexcept : chosen(v) {}  // NOLINT: a value is a setting
  [[nodiscard]] constexpr T value() const noexcept { return chosen; }
};

/// A setting of type T, fixed or chosen.
template <class S, class T>
concept SettingOf = requires(const S& setting) {
  { setting.value() } noexcept -> std::convertible_to<T>;
};

}  // namespace ch
