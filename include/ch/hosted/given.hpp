// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. Text that a caller gives and a box, a command or an option keeps: taken over or
// copied, so that nothing dangles. The launch path below takes views; here is what they view.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <utility>

namespace ch {

/// An owned text, made from any kind that a caller may have: a literal, std::string,
/// string_view, or std::filesystem::path (whose header is not needed for that). A null pointer
/// is the empty text, which as a path is refused when the container is planned; so is a path with
/// a NUL inside, since the kernel would take what stands before that.
class Given {
 public:
  Given() = default;
  Given(const char* text) : text_(text == nullptr ? "" : text) {}  // NOLINT: converts, its point
  Given(std::string text) noexcept : text_(std::move(text)) {}     // NOLINT
  Given(std::string_view text) : text_(text) {}                    // NOLINT
  /// A path of the standard library's, or anything else with such a `native`.
  template <class P>
  requires requires(const P& path) {
    { path.native() } -> std::convertible_to<std::string>;
  }
  Given(const P& path) : text_(path.native()) {}  // NOLINT

  [[nodiscard]] const std::string& str() const noexcept { return text_; }
  /// For calls that take a text up to its NUL: empty if there is one before the end.
  [[nodiscard]] const char* c_str() const noexcept { return has_nul() ? "" : text_.c_str(); }
  [[nodiscard]] bool has_nul() const noexcept { return text_.find('\0') != std::string::npos; }
  [[nodiscard]] std::string_view view() const noexcept { return text_; }
  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

 private:
  std::string text_;
};

}  // namespace ch
