// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. The manual page of a tool: a hand-written page in which the options come from
// the tool's table. For programs that run at build time: allocates.
// Source: man 7 man, man-pages(7), groff_char(7).
#pragma once

#include <string>

#include "ch/cli/option.hpp"

namespace ch::cli {
namespace detail {

/// Escapes `text` so that roff prints it verbatim, and so that it can be copied from the page and
/// pasted into a shell: ASCII, no typographic dashes and quotes.
[[nodiscard]] inline std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '\\':
        out += "\\e";
        break;
      case '-':
        out += "\\-";
        break;
      case '\'':
        out += "\\(aq";
        break;
      case '`':
        out += "\\(ga";
        break;
      case '^':
        out += "\\(ha";
        break;
      case '~':
        out += "\\(ti";
        break;
      default:
        out += c;
    }
  }
  if (out.starts_with('.')) out.insert(0, "\\&");  // not a roff request
  return out;
}

/// "-b, --bind=SRC", in the usual fonts.
[[nodiscard]] inline std::string roff_spelling(const Option& o) {
  std::string out;
  if (o.letter != '\0') out.append("\\fB").append(roff(std::string{'-', o.letter})).append("\\fR");
  if (o.letter != '\0' && o.name[0] != '\0') out += ", ";
  if (o.name[0] != '\0') out.append("\\fB").append(roff(std::string("--") + o.name)).append("\\fR");
  if (o.argument == Argument::none) return out;
  const bool optional = o.argument == Argument::optional;
  out.append(optional ? "[" : "").append(o.name[0] != '\0' ? "=" : " ");
  out.append("\\fI").append(roff(o.argument_name())).append("\\fR").append(optional ? "]" : "");
  return out;
}

}  // namespace detail

/// Passes the options to `sink(string_view)`, with a subsection for each group. Aliases are named
/// after the text of the option that they stand for.
template <class Sink>
void write_manual_options(std::span<const Option> table, Sink&& sink) {
  std::string_view group;
  for (std::size_t row = 0; row < table.size(); ++row) {
    const Option& o = table[row];
    if (o.is_alias()) continue;
    std::string out;
    if (group != o.group) {
      group = o.group;
      out.append(".SS ").append(detail::roff(group)).append("\n");
    }
    out.append(".TP\n").append(detail::roff_spelling(o)).append("\n").append(detail::roff(o.help));
    for (std::size_t i = row + 1; i < table.size() && table[i].is_alias(); ++i)
      out.append("; also spelled ").append(detail::roff_spelling(table[i]));
    sink(out.append("\n"));
  }
}

/// Passes the page whose text is `source` to `sink(string_view)`: the line "@OPTIONS@" becomes the
/// options, and "@VERSION@" in any line the version. The page has no date, so that building it
/// twice gives the same bytes.
template <class Sink>
void write_manual(std::string_view source, std::span<const Option> table, std::string_view version,
                  Sink&& sink) {
  while (!source.empty()) {
    const std::string_view line = head(source, source.find('\n'));
    source = tail(source, line.size() + 1);
    constexpr std::string_view mark = "@VERSION@";
    const auto at = line.find(mark);
    if (line == "@OPTIONS@") {
      write_manual_options(table, sink);
      continue;
    }
    sink(head(line, at));
    if (at != std::string_view::npos) {
      sink(version);
      sink(tail(line, at + mark.size()));
    }
    sink("\n");
  }
}

}  // namespace ch::cli
