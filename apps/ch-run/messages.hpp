// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The messages of ch-run: one line per fact on standard error, with labels in colour on a
// terminal unless asked otherwise, and warnings unless silenced. Source: no-color.org.
#pragma once

#include "apps/ch-run/options.hpp"
#include "ch/cli/output.hpp"

namespace ch_run {

/// Is `fd` a terminal? The call that asks for a terminal's settings fails for anything else.
inline bool is_terminal(ch::Fd fd) noexcept {
  ch::kernel::Linux k;
  char settings[64];  // struct termios of the kernel: 36 bytes
  constexpr long tcgets = 0x5401;
  return k.call(ch::kernel::Call::ioctl, static_cast<long>(fd), tcgets,
                reinterpret_cast<long>(&settings[0])) == 0;
}

class Messages {
 public:
  /// `no_color`: the variable of that name is set and not empty.
  Messages(Color color, int quietness, bool no_color) noexcept
      : color_(color), no_color_(no_color), quiet_(quietness > 0) {}

  void error(std::string_view text) const noexcept { line("error", "31", text); }
  void warning(std::string_view text) const noexcept {
    if (!quiet_) line("warning", "33", text);
  }
  void remedy(std::string_view text) const noexcept { line("remedy", "36", text); }

  /// Prints a text whose lines already begin with "ch-run: LABEL: ", as written by write_message.
  void labelled(std::string_view text) const noexcept {
    ch::cli::Output out(ch::cli::standard_error);
    while (!text.empty()) {
      const auto whole = ch::head(text, text.find('\n'));
      const auto from = whole.find(": ");
      const auto to = from == std::string_view::npos ? from : whole.find(": ", from + 2);
      if (to == std::string_view::npos) {
        out(whole);
      } else {
        const auto label = ch::head(ch::tail(whole, from + 2), to - from - 2);
        out(ch::head(whole, from + 2));
        paint(out, label, label == "error" ? "31" : "36");
        out(ch::tail(whole, to));
      }
      out("\n");
      text = ch::tail(text, whole.size() + 1);
    }
  }

 private:
  [[nodiscard]] bool coloured() const noexcept {
    if (color_ != Color::automatic) return color_ == Color::always;
    return !no_color_ && is_terminal(ch::cli::standard_error);
  }
  void paint(ch::cli::Output& out, std::string_view label, std::string_view code) const noexcept {
    const bool colour = coloured();
    if (colour) {
      out("\x1b[1;");
      out(code);
      out("m");
    }
    out(label);
    if (colour) out("\x1b[0m");
  }
  void line(std::string_view label, std::string_view code, std::string_view text) const noexcept {
    ch::cli::Output out(ch::cli::standard_error);
    out("ch-run: ");
    paint(out, label, code);
    out(": ");
    out(text);
    out("\n");
  }

  Color color_;
  bool no_color_;
  bool quiet_;
};

}  // namespace ch_run
