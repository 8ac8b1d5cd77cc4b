// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. Text that a caller gives and a box, a command or an option keeps: moved or copied, so
// that nothing dangles. The launch path below takes views of these.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ch {

namespace detail {
/// False, but only when a template that must not be used is instantiated.
template <class...>
inline constexpr bool never = false;
}  // namespace detail

/// An owned text, made from whatever a caller has: a literal, std::string, string_view, or
/// std::filesystem::path (whose header is not needed for that). A null pointer is the empty text,
/// which is refused as a path when the container is planned; so is a path with a NUL inside, since
/// the kernel would only see what precedes it.
class Given {
 public:
  Given() = default;
  Given(const char* text) : text_(text == nullptr ? "" : text) {}  // NOLINT: implicit on purpose
  Given(std::string text) noexcept : text_(std::move(text)) {}     // NOLINT
  Given(std::string_view text) : text_(text) {}                    // NOLINT
  /// A path of the standard library's, or anything else with such a `native`.
  template <class P>
  requires requires(const P& path) {
    { path.native() } -> std::convertible_to<std::string>;
  }
  Given(const P& path) : text_(path.native()) {}  // NOLINT
  /// 0 would be a null pointer, and other numbers no text at all.
  template <class N>
  requires std::is_arithmetic_v<N> Given(N) {  // NOLINT
    static_assert(detail::never<N>,
                  "Charlie: a number is not a text: write std::to_string of it, or ch::Fd{...} for "
                  "a descriptor.");
  }

  [[nodiscard]] const std::string& str() const noexcept { return text_; }
  /// For calls that take a text up to its NUL. Empty if the text has a NUL inside.
  [[nodiscard]] const char* c_str() const noexcept { return has_nul() ? "" : text_.c_str(); }
  [[nodiscard]] bool has_nul() const noexcept { return text_.find('\0') != std::string::npos; }
  [[nodiscard]] std::string_view view() const noexcept { return text_; }
  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

 private:
  std::string text_;
};

}  // namespace ch
