// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. What the writers of completions (complete_bash.hpp, complete_zsh.hpp,
// complete_fish.hpp) know of a tool: its options, and what an argument or an operand can be.
// For programs that run at build time: allocates.
// Source: man 1 bash (Programmable Completion), zshcompsys, fish-complete.
#pragma once

#include <string>

#include "ch/cli/described.hpp"

namespace ch::cli {

/// What the completions need to know about a tool.
struct Tool {
  std::string_view name{};
  std::span<const Option> options{};
  std::span<const Completion> arguments{};  // one for each row of the options; or none at all
  std::span<const Completes> operands{};    // in order; not `words` or `list`; the last one repeats
};

namespace detail {

/// The row of the option that `option` is: its own, or for an alias that of the option it stands
/// for.
[[nodiscard]] inline std::size_t row_of(const Tool& tool, const Option& option) noexcept {
  auto row = static_cast<std::size_t>(&option - tool.options.data());
  while (row > 0 && tool.options[row].is_alias()) --row;
  return row;
}

[[nodiscard]] inline Completion completion_of(const Tool& tool, const Option& option) noexcept {
  return tool.arguments.empty() ? Completion{} : tool.arguments[row_of(tool, option)];
}

/// The first clause of the help, short enough for a menu.
[[nodiscard]] inline std::string_view clause(std::string_view help) noexcept {
  for (const std::string_view end : {"; ", " (", ": ", "? "}) help = head(help, help.find(end));
  return help;
}

/// `text` with every `from` replaced.
[[nodiscard]] inline std::string replaced(std::string_view text, std::string_view from,
                                          std::string_view to) {
  std::string out;
  for (std::size_t at; (at = text.find(from)) != std::string_view::npos;) {
    out.append(head(text, at)).append(to);
    text.remove_prefix(at + from.size());
  }
  return out.append(text);
}

/// In single quotes, for bash and zsh.
[[nodiscard]] inline std::string quoted(std::string_view text) {
  return std::string("'").append(replaced(text, "'", "'\\''")).append("'");
}

/// The tool's name as part of a function's: "ch_run".
[[nodiscard]] inline std::string function_name(const Tool& tool) {
  return replaced(tool.name, "-", "_");
}

}  // namespace detail
}  // namespace ch::cli
