// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. The completion of a tool for zsh: a function for a directory of $fpath, in
// terms of its _arguments. For programs that run at build time: allocates.
// Source: zshcompsys, "_arguments"; zshcompwid.
#pragma once

#include "ch/cli/completion.hpp"

namespace ch::cli {
namespace detail {

// In these texts, @@ is the tool's name. $line and $opt_args are what _arguments leaves.
inline constexpr std::string_view zsh_helpers = R"sh(
# The directory of the image, if the first operand has been given; else empty.
_@@_image() {
  local image=${(Q)line[1]}
  [[ -n $image ]] && print -r -- ${${~image}:a}
}
_@@_image_paths() {
  local image=$(_@@_image)
  if [[ -n $image ]]; then _path_files -W "$image" "$@"; else _path_files "$@"; fi
}
_@@_image_directories() {
  [[ -z $(_@@_image) ]] || compset -P /
  _@@_image_paths -/
}
_@@_image_programs() {
  local image=$(_@@_image)
  if [[ $PREFIX == */* ]]; then
    compset -P /
    _@@_image_paths
  else
    local bins=("$image"/{usr/local/,usr/,}{s,}bin(N))
    local -aU programs=($^bins/*(N-*:t) $^bins/*(N@:t))
    compadd -a programs
  fi
}
_@@_bind() {
  if compset -P '*:*:'; then
    compadd ro rw
  elif compset -P '*:'; then
    [[ -z $(_@@_image) ]] || compset -P /
    _@@_image_paths
  else
    _files -S ''
  fi
}
)sh";

/// The action for _arguments; it is inside the single quotes of the specification.
[[nodiscard]] inline std::string zsh_action(Completes kind, std::string_view words) {
  switch (kind) {
    case Completes::words:
      return "(" + std::string(words) + ")";
    case Completes::list:
      return "_sequence compadd - " + std::string(words);
    case Completes::file:
      return "_files";
    case Completes::directory:
    case Completes::image:
      return "_path_files -/";  // _files would offer files if there is no directory
    case Completes::bind:
      return "_@@_bind";
    case Completes::image_directory:
      return "_@@_image_directories";
    case Completes::image_program:
      return "_@@_image_programs";
    default:
      return " ";
  }
}

/// With `characters` escaped by a backslash.
[[nodiscard]] inline std::string escaped(std::string_view text, std::string_view characters) {
  std::string out;
  for (const char c : text) {
    if (characters.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

/// ":placeholder:action", with two colons in front if the argument may be missing.
[[nodiscard]] inline std::string zsh_argument(const Tool& tool, const Option& o) {
  if (o.argument == Argument::none) return {};
  const Completion a = completion_of(tool, o);
  return (o.argument == Argument::optional ? "::" : ":") + escaped(o.argument_name(), ":\\") + ":" +
         zsh_action(a.kind, a.words);
}

}  // namespace detail

/// Passes the script to `sink(string_view)`.
template <class Sink>
void write_zsh_completion(const Tool& tool, Sink&& sink) {
  using detail::quoted;
  std::string script =
      "#compdef @T@\n# Completion of @T@ for zsh, generated from its table of options.\n";
  script.append(detail::zsh_helpers).append("\n_@@() {\n  local -a line\n  local -A opt_args\n");
  script.append("  _arguments -s -S -C : \\\n");
  for (const Option& o : tool.options) {
    if (o.is_alias()) continue;
    const std::string text =
        std::string("[").append(detail::escaped(detail::clause(o.help), "[]\\:")).append("]");
    const std::string argument = detail::zsh_argument(tool, o);
    // "*": each may be given again. "+": in this word or the next; "-": in this one only.
    const std::string_view of_letter[] = {"", "+", "-"};
    const std::string_view of_name[] = {"", "=", "=-"};
    const auto takes = static_cast<std::size_t>(o.argument);
    if (o.letter != '\0')
      script.append("    ")
          .append(quoted(std::string("*-") + o.letter + std::string(of_letter[takes]) + text +
                         argument))
          .append(" \\\n");
    if (o.name[0] != '\0')
      script.append("    ")
          .append(
              quoted(std::string("*--") + o.name + std::string(of_name[takes]) + text + argument))
          .append(" \\\n");
  }
  // By the number of operands in $line: _arguments itself would count a "--" after the first one.
  script.append("    '*: :_@@_operand'\n}\n_@@_operand() {\n  case $#line in\n");
  for (std::size_t i = 0; i < tool.operands.size(); ++i)
    script.append("    ")
        .append(i + 1 == tool.operands.size() ? "*" : std::to_string(i + 1))
        .append(") ")
        .append(detail::zsh_action(tool.operands[i], {}))
        .append(" ;;\n");
  script.append("  esac\n}\n\n_@@ \"$@\"\n");
  sink(detail::replaced(detail::replaced(script, "@@", detail::function_name(tool)), "@T@",
                        tool.name));
}

}  // namespace ch::cli
