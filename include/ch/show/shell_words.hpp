// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. Any text as a word of the POSIX shell. Source: POSIX, "Shell Command Language",
// quoting.
#pragma once

#include <string_view>

#include "ch/kernel/text.hpp"

namespace ch::detail {

/// Writes text as one word of a POSIX shell.
template <class Sink>
void shell_word(Sink& sink, std::string_view text) {
  sink("'");
  for (std::size_t quote = text.find('\''); quote != std::string_view::npos;
       quote = text.find('\'')) {
    sink(head(text, quote));
    sink("'\\''");
    text.remove_prefix(quote + 1);
  }
  sink(text);
  sink("'");
}

/// Writes bytes as a format of printf(1), since a shell word can't contain a NUL.
template <class Sink>
void shell_bytes(Sink& sink, std::string_view bytes) {
  sink("'");
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    TextBuffer<8> octal;
    octal << '\\' << static_cast<char>('0' + byte / 64) << static_cast<char>('0' + byte / 8 % 8)
          << static_cast<char>('0' + byte % 8);
    sink(octal.view());
  }
  sink("'");
}

}  // namespace ch::detail
