// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. What the writers of completions (complete_bash.hpp, complete_zsh.hpp,
// complete_fish.hpp) know of a tool besides its table of options: what an argument or an
// operand can be. Kept apart from the table because a tool that launches carries that
// one with it. For programs that run at build time: allocates.
// Source: man 1 bash (Programmable Completion), zshcompsys, fish-complete.
#pragma once

#include <string>

#include "ch/cli/option.hpp"

namespace ch::cli {

/// What may stand for an argument or an operand.
enum class Completes : std::uint8_t {
  nothing,          // a number, a name: nobody can guess it
  words,            // one of some words
  list,             // several of them, with commas
  file,             // of the host
  directory,        // of the host
  bind,             // SRC[:DST[:ro]]
  image,            // a directory of the host; what the next two look into
  image_directory,  // in the image; where that is not known yet, one of the host
  image_program,    // a name from the image's PATH, or a path in the image
};

/// What one option's argument can be. `words` have blanks between them.
struct Argues {
  int id = 0;
  Completes kind = Completes::nothing;
  std::string_view words{};
};

/// A tool, as far as its completions go.
struct Tool {
  std::string_view name{};
  std::span<const Option> options{};
  std::span<const Argues> arguments{};    // one for each option that takes an argument
  std::span<const Completes> operands{};  // in order, without words and lists; the last repeats
};

namespace detail {

[[nodiscard]] inline Argues argues(const Tool& tool, const Option& option) noexcept {
  for (const Argues& a : tool.arguments)
    if (a.id == option.id) return a;
  return {option.id};
}

/// As many words of the help as fit beside an option in a menu: its first clause.
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
