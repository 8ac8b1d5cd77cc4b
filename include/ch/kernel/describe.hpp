// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. A system call as a line of text, much as strace(1) would print it, from the
// table in call.hpp. Reads the strings and structures that the arguments point to;
// allocates nothing.
#pragma once

#include <span>

#include "ch/kernel/kernel.hpp"
#include "ch/kernel/text.hpp"

namespace ch::kernel {

namespace detail {

inline void hexadecimal(TextWriter& out, std::uint64_t value) noexcept {
  char digits[16];
  int n = 0;
  do {
    digits[n++] = "0123456789abcdef"[value % 16];
    value /= 16;
  } while (value != 0);
  out << "0x";
  while (n > 0) out << digits[--n];
}

inline void quoted(TextWriter& out, std::string_view text) noexcept {
  out << '"';
  for (const char c : text) {
    if (c == '\n')
      out << "\\n";
    else
      out << c;
  }
  out << '"';
}

inline void describe_argument(TextWriter& out, char shape, long value, long next) noexcept {
  const auto* pointer = reinterpret_cast<const void*>(value);
  if (shape == 'd') {
    static_cast<Fd>(value) == Fd::cwd ? out << "cwd" : out << static_cast<int>(value);
  } else if (shape == 'x') {
    hexadecimal(out, static_cast<std::uint64_t>(value));
  } else if (shape == 'i') {
    out << static_cast<std::int64_t>(value);
  } else if (pointer == nullptr) {
    out << "null";
  } else if (shape == 's') {
    quoted(out, static_cast<const char*>(pointer));
  } else if (shape == 'b') {
    quoted(out, {static_cast<const char*>(pointer), static_cast<std::size_t>(next)});
  } else if (shape == 'h') {
    const auto& how = *static_cast<const OpenHow*>(pointer);
    out << "{flags ";
    hexadecimal(out, how.flags);
    out << ", resolve ";
    hexadecimal(out, how.resolve);
    out << '}';
  } else if (shape == 'a') {
    const auto& attr = *static_cast<const MountAttr*>(pointer);
    out << "{set ";
    hexadecimal(out, attr.attr_set);
    out << ", propagation ";
    hexadecimal(out, attr.propagation);
    out << '}';
  } else {
    out << "...";
  }
}

}  // namespace detail

/// Writes `name(arguments)`.
inline void describe(TextWriter& out, Call call, std::span<const long> arguments) noexcept {
  const CallShape& row = shape(call);
  out << row.name << '(';
  for (std::size_t i = 0; row.arguments[i] != '\0' && i < arguments.size(); ++i) {
    if (i > 0) out << ", ";
    detail::describe_argument(out, row.arguments[i], arguments[i],
                              i + 1 < arguments.size() ? arguments[i + 1] : 0);
  }
  out << ')';
}

/// Writes `name(arguments) = result` without a newline.
inline void describe(TextWriter& out, Call call, std::span<const long> arguments,
                     long result) noexcept {
  describe(out, call, arguments);
  out << " = ";
  if (result < 0 && result >= -4095)
    out << "error " << static_cast<std::int64_t>(-result);
  else
    out << static_cast<std::int64_t>(result);
}

}  // namespace ch::kernel
