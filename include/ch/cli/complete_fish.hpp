// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. The completion of a tool for fish 3: one `complete` command for each option.
// For programs that run at build time: allocates.
// Source: fish-complete.
#pragma once

#include "ch/cli/completion.hpp"

namespace ch::cli {
namespace detail {

// In these texts, @@ is the tool's name. fish parses the command line itself, but can't tell
// operands from arguments of options.
inline constexpr std::string_view fish_helpers = R"sh(
# The operands before the cursor, a line each.
function __@@_operands
  set -l option
  set -l stop
  set -l words (commandline --tokenize --cut-at-cursor --current-process)
  for word in $words[2..]
    if test -n "$option"
      set option
    else if test -n "$stop"
      echo -- $word
    else if test "$word" = --
      set stop yes
    else if string match --quiet --regex -- '^-.' $word
      set option (string match --regex -- $__@@_takes $word)
    else
      echo -- $word
    end
  end
end
# Is the operand with this number (from 0) being completed; with "on", or a later one?
function __@@_operand --argument-names number from
  set -l before (count (__@@_operands))
  string match --quiet -- '-*' (commandline --current-token); and return 1
  test $before -eq $number; or test "$from" = on -a $before -gt $number
end
# The image's directory; empty while it is not known, so that the host's paths are used.
function __@@_image
  set -l operands (__@@_operands)
  set -q operands[1]; and string replace --regex -- '^~/' "$HOME/" $operands[1]
end
# Paths as seen from inside. An argument: what to complete; "directories" to have just these.
function __@@_image_paths --argument-names word only
  set -l image (__@@_image)
  test -n "$word"; or set word /
  for path in "$image"$word*
    if test -d $path
      string replace -- "$image" '' $path/
    else if test "$only" != directories
      string replace -- "$image" '' $path
    end
  end
end
function __@@_word
  string replace --regex -- '^--[^=]*=' '' (commandline --current-token --cut-at-cursor)
end
function __@@_image_directories
  __@@_image_paths (__@@_word) directories
end
function __@@_image_programs
  set -l word (__@@_word)
  if string match --quiet '*/*' -- $word
    __@@_image_paths $word
  else
    set -l image (__@@_image)
    for path in "$image"/{usr/local/,usr/,}{s,}bin/*
      test -L $path -o -x $path; and string replace --regex -- '.*/' '' $path
    end
  end
end
function __@@_binds
  set -l word (__@@_word)
  set -l parts (string split : -- $word)
  switch (count $parts)
    case 1
      for path in $word*
        test -d $path; and echo $path/; or echo $path
      end
    case 2
      for path in (__@@_image_paths $parts[2])
        echo $parts[1]:$path
      end
    case '*'
      printf '%s\n' $parts[1]:$parts[2]:{ro,rw}
  end
end
function __@@_list
  set -l word (__@@_word)
  set -l before (string match --regex -- '^.*,' $word)
  printf '%s\n' "$before"$argv
end
)sh";

[[nodiscard]] inline std::string fish_quoted(std::string_view text) {
  return std::string("'").append(replaced(replaced(text, "\\", "\\\\"), "'", "\\'")).append("'");
}

/// The completions on offer, as the end of a `complete` command.
[[nodiscard]] inline std::string fish_offer(Completes kind, std::string_view words) {
  switch (kind) {
    case Completes::words:
      return " -f -a " + fish_quoted(words);
    case Completes::list:
      return " -f -a " + fish_quoted("(__@@_list " + std::string(words) + ")");
    case Completes::file:
      return " -F";
    case Completes::directory:
    case Completes::image:
      return " -f -a '(__fish_complete_directories)'";
    case Completes::bind:
      return " -f -a '(__@@_binds)'";
    case Completes::image_directory:
      return " -f -a '(__@@_image_directories)'";
    case Completes::image_program:
      return " -f -a '(__@@_image_programs)'";
    default:
      return " -f";
  }
}

}  // namespace detail

/// Passes the script to `sink(string_view)`.
template <class Sink>
void write_fish_completion(const Tool& tool, Sink&& sink) {
  std::string letters[2];  // of options without and with an argument in the next word
  std::string names;
  for (const Option& o : tool.options) {
    const bool takes = o.argument == Argument::required;
    if (o.letter != '\0') letters[takes ? 1 : 0] += o.letter;
    if (takes && o.name[0] != '\0') names.append(names.empty() ? "" : "|").append(o.name);
  }
  if (letters[1].empty()) letters[1] = "-";  // matches nothing that can occur here
  if (names.empty()) names = "-";
  std::string script = "# Completion of @T@ for fish, generated from its table of options.\n\n";
  script.append("set -g __@@_takes '^(--(")
      .append(names)
      .append(")|-[")
      .append(letters[0])
      .append("]*[")
      .append(letters[1])
      .append("])$'\n")
      .append(detail::fish_helpers)
      .append("\ncomplete -c @T@ -f\n");
  for (std::size_t i = 0; i < tool.operands.size(); ++i) {
    const bool last = i + 1 == tool.operands.size();
    script.append("complete -c @T@ -n '__@@_operand ")
        .append(std::to_string(i))
        .append(last ? " on'" : "'")
        .append(detail::fish_offer(tool.operands[i], {}))
        .append("\n");
  }
  for (const Option& o : tool.options) {
    if (o.is_alias()) continue;
    script.append("complete -c @T@");
    if (o.letter != '\0') script.append(" -s ").append(1, o.letter == '?' ? 'h' : o.letter);
    if (o.name[0] != '\0') script.append(" -l ").append(o.name);
    script.append(" -d ").append(detail::fish_quoted(detail::clause(o.help)));
    const Completion a = detail::completion_of(tool, o);
    if (o.argument == Argument::required) script.append(" -r");
    if (o.argument != Argument::none) script.append(detail::fish_offer(a.kind, a.words));
    script.append("\n");
  }
  sink(detail::replaced(detail::replaced(script, "@@", detail::function_name(tool)), "@T@",
                        tool.name));
}

}  // namespace ch::cli
