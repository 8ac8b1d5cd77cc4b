// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. The short usage message of a tool, from its table of options: letters of options
// without argument together, then every option by its long name, in 80 columns.
#pragma once

#include "ch/cli/help.hpp"

namespace ch::cli {

/// Passes "Usage: TOOL [-abc] [--option=ARG] ... OPERANDS" to `sink(string_view)`.
template <class Sink>
void print_usage(std::string_view tool, std::span<const Option> table, std::string_view operands,
                 Sink&& sink) {
  TextBuffer<4096> words;
  words << "[-";
  for (const Option& o : table)
    if (o.letter != '\0' && o.argument == Argument::none && !o.is_alias()) words << o.letter;
  words << ']';
  for (const Option& o : table) {
    if (o.is_alias() || o.name[0] == '\0') continue;
    words << " [--" << o.name;
    if (o.argument == Argument::required) words << '=' << o.argument_name();
    if (o.argument == Argument::optional) words << "[=" << o.argument_name() << ']';
    words << ']';
  }
  words << ' ' << operands;
  TextBuffer<64> start;
  start << "Usage: " << tool << ' ';
  sink(start.view());
  detail::wrapped(sink, words.view(), start.view().size(), start.view().size());
}

}  // namespace ch::cli
