// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. The completion of a tool for bash 4.3 and newer, which does not depend on the package
// bash-completion, except to load it. For programs that run at build time: allocates.
// Source: man 1 bash, "Programmable Completion".
#pragma once

#include "ch/cli/completion.hpp"

namespace ch::cli {
namespace detail {

// Readline also splits words at "=" and ":", and replaces only what follows the last of these; so
// the words are joined first, and at the end the part that readline already has is removed from the
// candidates. In these texts, @@ is the tool's name.
inline constexpr std::string_view bash_frame = R"sh(
# Those of the words that start with $value.
_@@_words() {
  local candidate
  for candidate; do
    [[ $candidate == "$value"* ]] && COMPREPLY+=("$candidate")
  done
}

# Paths of the host, and as seen from inside; while the image is not known, the host's
# paths are used. $1: -f for files and directories, -d.
_@@_paths() {
  compopt -o filenames 2> /dev/null
  mapfile -t COMPREPLY < <(compgen "$1" -- "$value")
}
_@@_image_paths() {
  local path
  compopt -o nospace 2> /dev/null
  [[ ${value:=/} == /* ]] || return
  while IFS= read -r path; do
    [[ -d $path && ! -L $path ]] && path+=/
    COMPREPLY+=("$(printf %q "${path#"$image"}")")
  done < <(compgen "$1" -- "$(printf %q "$image")$value")
}
_@@_image_programs() {
  local path
  for path in "$image"/{usr/local/,usr/,}{s,}bin/"$value"*; do
    [[ -L $path || ( -f $path && -x $path ) ]] && COMPREPLY+=("${path##*/}")
  done
}

# What may stand for $value. $1: a kind; others: its words.
_@@_kind() {
  local kind=$1
  shift
  case $kind in
    words) _@@_words "$@" ;;
    list)
      compopt -o nospace 2> /dev/null
      value=${value##*,}
      _@@_words "$@"
      ;;
    file) _@@_paths -f ;;
    directory | image) _@@_paths -d ;;
    bind)
      case $value in
        *:*:*) value=${value##*:} && _@@_words ro rw ;;
        *:*)
          value=${value#*:}
          _@@_image_paths -f
          ;;
        *) compopt -o nospace 2> /dev/null; _@@_paths -f ;;
      esac
      ;;
    image_directory)
      _@@_image_paths -d
      ;;
    image_program)
      if [[ $value == */* ]]; then _@@_image_paths -f; else _@@_image_programs; fi
      ;;
  esac
}

_@@() {
  local line=${COMP_LINE:0:COMP_POINT} words=() word gap i IFS=$' \t\n'
  COMPREPLY=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    gap=${line%%[![:blank:]]*}
    line=${line#"$gap"}
    word=${COMP_WORDS[i]}
    ((i < COMP_CWORD)) || word=$line
    line=${line#"$word"}
    if [[ $i -gt 0 && -z $gap ]]; then words[-1]+=$word; else words+=("$word"); fi
  done

  # Which operand is this, or which option's argument?
  local value=${words[-1]} image='' operands=0 stop='' option=''
  unset 'words[-1]'
  for word in "${words[@]:1}"; do
    if [[ -n $option ]]; then
      option=
    elif [[ -z $stop && $word == -- ]]; then
      stop=yes
    elif [[ -z $stop && $word == -?* ]]; then
      option=$(_@@_takes "$word")
    else
      [[ $operands -gt 0 ]] || image=$word
      ((++operands))
    fi
  done
  image=${image/#\~\//$HOME/}
  image=${image//[\\\"\']/}
  image=${image%/}

  if [[ -n $option ]]; then
    _@@_argument "$option"
  elif [[ -z $stop && $value == --*=* ]]; then
    option=${value%%=*}
    value=${value#*=}
    _@@_argument "$option"
  elif [[ -z $stop && $value == -* ]]; then
    _@@_words "${_@@_options[@]}"
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2> /dev/null
  else
    _@@_operand
  fi

  word=${COMP_WORDS[COMP_CWORD]}
  [[ $word != [=:] ]] || word=
  [[ $word == *"$value" ]] || return 0
  word=${word%"$value"}
  for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=$word${COMPREPLY[i]}; done
}
)sh";

[[nodiscard]] inline std::string bash_kind(Completes kind, std::string_view words) {
  static constexpr const char* names[] = {"nothing", "words",           "list",
                                          "file",    "directory",       "bind",
                                          "image",   "image_directory", "image_program"};
  std::string out = names[static_cast<std::size_t>(kind)];
  if (!words.empty()) out.append(" ").append(words);
  return out;
}

/// "-b | --bind | -d | --dir": all spellings of an option.
[[nodiscard]] inline std::string bash_spellings(const Tool& tool, std::size_t row) {
  std::string out;
  for (const Option& o : tool.options) {
    if (row_of(tool, o) != row) continue;
    if (o.letter != '\0') out.append(out.empty() ? "-" : " | -").append(1, o.letter);
    if (o.name[0] != '\0') out.append(out.empty() ? "--" : " | --").append(o.name);
  }
  return out;
}

}  // namespace detail

/// Passes the script to `sink(string_view)`.
template <class Sink>
void write_bash_completion(const Tool& tool, Sink&& sink) {
  const std::string name = detail::function_name(tool);
  std::string options;
  std::string taking;      // spellings whose argument is the next word
  std::string letters[2];  // without and with such an argument
  std::string arguments;
  for (const Option& o : tool.options) {
    const bool takes = o.argument == Argument::required;
    if (o.letter != '\0') letters[takes ? 1 : 0] += o.letter;
    if (takes && o.name[0] != '\0') taking.append(taking.empty() ? "--" : " | --").append(o.name);
    if (o.is_alias()) continue;
    const std::string full = std::string("--") + o.name;
    if (o.argument != Argument::required) options.append("  ").append(full).append("\n");
    if (o.argument != Argument::none) options.append("  ").append(full).append("=\n");
    const Completion a = detail::completion_of(tool, o);
    if (a.kind != Completes::nothing)
      arguments.append("    ")
          .append(detail::bash_spellings(tool, detail::row_of(tool, o)))
          .append(") _@@_kind ")
          .append(detail::bash_kind(a.kind, a.words))
          .append(" ;;\n");
  }
  std::string operands;
  for (std::size_t i = 0; i < tool.operands.size(); ++i) {
    const bool last = i + 1 == tool.operands.size();
    operands.append("    ")
        .append(last ? "*" : std::to_string(i))
        .append(") _@@_kind ")
        .append(detail::bash_kind(tool.operands[i], {}))
        .append(" ;;\n");
  }
  std::string script = "# Completion of @T@ for bash, generated from its table of options.\n\n";
  script.append("_@@_options=(\n").append(options).append(")\n\n");
  script.append(
      "# The option in word $1 whose argument is the next word, if there is one.\n"
      "_@@_takes() {\n  case $1 in\n    --*=*) ;;\n    ");
  if (!taking.empty()) script.append(taking).append(") echo \"$1\" ;;\n    ");
  script.append("--*) ;;\n");
  if (!letters[1].empty())
    script.append("    *) [[ $1 =~ ^-[")
        .append(letters[0])
        .append("]*([")
        .append(letters[1])
        .append("])$ ]] && echo \"-${BASH_REMATCH[1]}\" ;;\n");
  script.append("  esac\n}\n\n_@@_argument() {\n  case $1 in\n")
      .append(arguments)
      .append("    *) ;;\n  esac\n}\n\n_@@_operand() {\n  case $operands in\n")
      .append(operands)
      .append("  esac\n}\n")
      .append(detail::bash_frame)
      .append("\ncomplete -F _@@ @T@\n");
  sink(detail::replaced(detail::replaced(script, "@@", name), "@T@", tool.name));
}

}  // namespace ch::cli
