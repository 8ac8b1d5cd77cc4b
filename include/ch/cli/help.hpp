// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. The help text of a tool, from its table of options: written piece by piece to
// a sink, in 80 columns, grouped.
#pragma once

#include "ch/cli/option.hpp"

namespace ch::cli {

namespace detail {

/// Writes `text` in lines of at most 80 columns, indented by `indent` from the second on.
template <class Sink>
void wrapped(Sink& sink, std::string_view text, std::size_t column, std::size_t indent) {
  while (!text.empty()) {
    const auto space = text.find(' ');
    const auto word = head(text, space);
    if (column > indent && column + 1 + word.size() > 78) {
      sink("\n");
      for (std::size_t i = 0; i < indent; ++i) sink(" ");
      column = indent;
    } else if (column > indent) {
      sink(" ");
      ++column;
    }
    sink(word);
    column += word.size();
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
  }
  sink("\n");
}

template <class Sink>
void option_line(Sink& sink, const Option& o) {
  constexpr std::size_t indent = 28;
  TextBuffer<80> left;
  left << "  ";
  if (o.letter != '\0')
    left << '-' << o.letter << (o.name[0] != '\0' ? ", " : "");
  else
    left << "    ";
  if (o.name[0] != '\0') left << "--" << o.name;
  if (o.argument != Argument::none) {
    const bool optional = o.argument == Argument::optional;
    left << (optional ? "[" : "") << (o.name[0] != '\0' ? "=" : " ") << o.argument_name()
         << (optional ? "]" : "");
  }
  sink(left.view());
  std::size_t column = left.view().size();
  if (column + 2 > indent) {
    sink("\n");
    column = 0;
  }
  for (; column < indent; ++column) sink(" ");
  wrapped(sink, o.help, indent, indent);
}

}  // namespace detail

/// Passes the options, group by group in the order of the table, to `sink(string_view)`.
template <class Sink>
void print_options(std::span<const Option> table, Sink&& sink) {
  std::string_view group;
  for (const Option& o : table) {
    if (o.is_alias()) continue;
    if (group != o.group) {
      group = o.group;
      sink("\n");
      sink(group);
      sink(":\n");
    }
    detail::option_line(sink, o);
  }
}

}  // namespace ch::cli
