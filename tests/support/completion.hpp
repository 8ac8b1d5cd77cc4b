// SPDX-License-Identifier: Apache-2.0
//
// Test support: what a shell offers for a command line after one press of the tab key.
#pragma once

#include <map>
#include <set>

#include "tests/support/files.hpp"
#include "tests/support/process.hpp"

namespace test {

using Offers = std::set<std::string>;

/// Completion scripts are where they would be installed, relative to a built program.
inline fs::path share_beside(const fs::path& program) {
  return program.parent_path().parent_path() / "share";
}

/// The last part of each line, without what a shell puts around it: "--bind=" is "--bind",
/// "hello:/mnt/" is "mnt".
inline Offers normal(const std::string& lines) {
  Offers out;
  for (std::size_t at = 0, end; at < lines.size(); at = end + 1) {
    end = std::min(lines.find('\n', at), lines.size());
    std::string offer = lines.substr(at, end - at);
    offer = offer.substr(0, offer.find('\t'));  // fish's description
    std::erase_if(offer, [](char c) { return c == '\\' || c == '\r'; });
    while (!offer.empty() && (offer.back() == '/' || offer.back() == '=')) offer.pop_back();
    offer.erase(0, offer.find_last_of("=:,/") + 1);
    if (!offer.empty()) out.insert(offer);
  }
  return out;
}

namespace detail {

// Splits a line as readline does, and calls the function as bash does.
inline constexpr const char* bash_driver = R"sh(
. "$1"
line=$2 word= COMP_WORDS=()
for ((i = 0; i < ${#line}; i++)); do
  c=${line:i:1}
  case $c in
    ' ') [[ -z $word ]] || COMP_WORDS+=("$word"); word= ;;
    [=:]) [[ -z $word ]] || COMP_WORDS+=("$word"); COMP_WORDS+=("$c"); word= ;;
    *) word+=$c ;;
  esac
done
[[ -z $word && $line != *' ' ]] || COMP_WORDS+=("$word")
COMP_LINE=$line COMP_POINT=${#line} COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
[[ $(complete -p "$3") == "complete -F _${3//-/_} $3" ]] || exit 1
"_${3//-/_}"
[[ ${#COMPREPLY[@]} -eq 0 ]] || printf '%s\n' "${COMPREPLY[@]}" | sort
)sh";

// An interactive zsh on its own terminal, which records what is offered; ^T reports
// that the completion is over, ^U clears the line. All lines go to one, since it takes
// half a second to start. The answers to each follow it.
inline constexpr const char* zsh_inner = R"sh(
PS1=RDY
fpath=($scripts $fpath)
autoload -Uz compinit
compinit -u -D
compadd() {
  if (( ${@[1,(i)(-|--)]}[(I)-[OAD]*] )); then builtin compadd "$@"; return; fi
  local -a matches
  builtin compadd -O matches "$@"
  print -rl -- "$IPREFIX"$^matches >> $offers
  builtin compadd "$@"
}
over() { print -n DO; print NE }
zle -N over
bindkey '^T' over
bindkey '^I' complete-word
unsetopt beep
)sh";
inline constexpr const char* zsh_outer = R"sh(
zmodload zsh/zpty || exit 1
zpty shell zsh -f -i
zpty -w shell ". $inner"
zpty -r -m shell seen '*RDY*'
for line; do
  : > $offers
  zpty -w -n shell "$line"$'\t\x14\x15'
  zpty -r -m shell seen '*DONE*'
  print -r -- "<$line>"
  cat $offers
done
zpty -d shell
)sh";

}  // namespace detail

/// What bash offers, unchanged: only what replaces the part of the word that readline has
/// not split off.
inline std::string bash_offers(const std::string& tool, const fs::path& share,
                               const std::string& line, const RunOptions& options) {
  const std::string script = share / "bash-completion/completions" / tool;
  REQUIRE(fs::exists(script));
  const auto ran =
      run({"bash", "--norc", "-c", detail::bash_driver, "bash", script, line, tool}, options);
  CHECK(ran.err.empty());
  CHECK(ran.status == 0);
  return ran.out;
}

/// What zsh offers for each of the lines. `scratch` is an empty directory.
inline std::map<std::string, Offers> zsh_offers(const std::string& tool, const fs::path& share,
                                                const std::vector<std::string>& lines,
                                                const fs::path& scratch, RunOptions options) {
  REQUIRE(fs::exists(share / "zsh/site-functions" / ("_" + tool)));
  write_file(scratch / "inner", detail::zsh_inner);
  options.environment.push_back("scripts=" + (share / "zsh/site-functions").string());
  options.environment.push_back("inner=" + (scratch / "inner").string());
  options.environment.push_back("offers=" + (scratch / "offers").string());
  std::vector<std::string> command = {"timeout", "60", "zsh", "-f", "-c", detail::zsh_outer, "zsh"};
  command.insert(command.end(), lines.begin(), lines.end());
  const auto ran = run(command, options);
  CHECK(ran.err.empty());
  CHECK(ran.status == 0);
  std::map<std::string, Offers> offers;
  for (const std::string& line : lines) {
    const std::string title = "<" + line + ">\n";
    const auto at = ran.out.find(title);
    REQUIRE(at != std::string::npos);
    const auto from = at + title.size();
    offers[line] = normal(ran.out.substr(from, ran.out.find('<', from) - from));
  }
  return offers;
}

/// What fish offers.
inline Offers fish_offers(const std::string& tool, const fs::path& share, const std::string& line,
                          const RunOptions& options) {
  const std::string script = share / "fish/vendor_completions.d" / (tool + ".fish");
  REQUIRE(fs::exists(script));
  const auto ran =
      run({"fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", script, line},
          options);
  CHECK(ran.err.empty());
  CHECK(ran.status == 0);
  return normal(ran.out);
}

/// A line, and what the tab key must offer after it.
struct CompletionCase {
  const char* line;
  Offers offers;
};

/// A directory to complete names of, with "my dir" in it, and an empty home in which the
/// shells find nothing of the user's.
struct CompletionPlace {
  TempDir dir;
  RunOptions options;

  CompletionPlace() {
    fs::create_directory(dir / "my dir");
    fs::create_directory(dir / "home");
    options.directory = dir.path();
    options.environment = {"PATH=/usr/bin:/bin", "HOME=" + (dir / "home").string(),
                           "LC_ALL=C.UTF-8", "TERM=dumb"};
  }
};

/// Checks in bash, zsh or fish that `tool` is completed as `cases` say, and that each option
/// of its table that has a help text is offered.
template <class Cases, class Table>
void check_completion(const std::string& shell, const std::string& tool, const fs::path& share,
                      const Cases& cases, const Table& table, const CompletionPlace& place) {
  const std::string any_option = tool + " --";
  std::map<std::string, Offers> zsh;
  if (shell == "zsh") {
    std::vector<std::string> lines = {any_option};
    for (const CompletionCase& c : cases) lines.emplace_back(c.line);
    zsh = zsh_offers(tool, share, lines, place.dir / "home", place.options);
  }
  const auto offers = [&](const std::string& line) {
    if (shell == "zsh") return zsh.at(line);
    if (shell == "fish") return fish_offers(tool, share, line, place.options);
    return normal(bash_offers(tool, share, line, place.options));
  };
  for (const CompletionCase& c : cases) {
    INFO(c.line);
    CHECK(offers(c.line) == c.offers);
  }
  const Offers all = offers(any_option);
  for (const auto& option : table) {
    const std::string name = std::string("--") + option.name;
    INFO(name);
    if (option.help[0] != '\0') CHECK(all.count(name) == 1);
  }
}

/// Is the shell installed?
inline bool have_shell(const std::string& shell) { return run({shell, "--version"}).status == 0; }

}  // namespace test
