// SPDX-License-Identifier: Apache-2.0
//
// The completions of ch-run in the shells they are for: what does one press of the tab
// key offer? The same for all three, but for how each of them writes it.

#include <set>

#include "apps/ch-run/option_table.hpp"
#include "tests/support/files.hpp"
#include "tests/support/process.hpp"

#ifndef CHARLIE_CH_RUN
#define CHARLIE_CH_RUN "ch-run"
#endif

namespace {

using test::fs::path;
using Offers = std::set<std::string>;

/// The scripts lie where they would be installed, beside the built ch-run.
path share() { return path(CHARLIE_CH_RUN).parent_path().parent_path() / "share"; }

struct Case {
  const char* line;
  Offers offers;
};

/// In a directory with an image "hello", a file "job.env" and a directory "my dir".
const Case cases[] = {
    {"ch-run --bi", {"--bind"}},
    {"ch-run --no-p", {"--no-passwd"}},
    {"ch-run hello --over", {"--overlay"}},
    {"ch-run --explain=", {"text", "json", "shell"}},
    {"ch-run --explain=j", {"json"}},
    {"ch-run --color=", {"auto", "always", "never"}},
    {"ch-run --assembly cl", {"classic"}},
    {"ch-run --feature=", {"extglob", "overlayfs", "seccomp", "squash", "tmpfs-xattrs"}},
    {"ch-run --namespaces u", {"uts"}},
    {"ch-run --namespaces=pid,net,u", {"uts"}},
    {"ch-run --namespaces pid,c", {"cgroup"}},
    // Of the host: directories, and files where a file will do.
    {"ch-run he", {"hello"}},
    {"ch-run my", {"my dir"}},
    {"ch-run jo", {}},
    {"ch-run -w --uid 0 -- he", {"hello"}},
    {"ch-run --overlay he", {"hello"}},
    {"ch-run --overlay jo", {}},
    {"ch-run --set-env=jo", {"job.env"}},
    {"ch-run -b jo", {"job.env"}},
    {"ch-run --bind=he", {"hello"}},
    {"ch-run -vwb he", {"hello"}},
    {"ch-run -b hello:/mnt:r", {"ro", "rw"}},
    // Of the image.
    {"ch-run hello -b job.env:/only", {"onlyinside"}},
    {"ch-run hello -c /only", {"onlyinside"}},
    {"ch-run hello --cd=/only", {"onlyinside"}},
    {"ch-run hello sol", {"solve"}},
    {"ch-run hello -- sol", {"solve"}},
    {"ch-run -w -u 0 -b job.env hello -c / -- sol", {"solve"}},
    {"ch-run hello -- readl", {"readlink"}},
    {"ch-run hello -- notes", {}},
    {"ch-run hello -- /only", {"onlyinside"}},
    {"ch-run hello -- solve jo", {"job.env"}},
    // Behind "--", options are the command's.
    {"ch-run hello -- solve --wr", {}},
    {"ch-run hello --wr", {"--write", "--write-fake"}},
};

struct Fixture {
  test::TempDir dir;
  test::RunOptions options;

  Fixture() {
    test::make_image(dir / "hello");
    test::fs::create_directories(dir / "hello/onlyinside");
    test::fs::create_directory(dir / "my dir");
    test::fs::create_directory(dir / "home");
    test::write_file(dir / "job.env", "");
    test::write_file(dir / "hello/bin/notes", "");
    test::write_file(dir / "hello/bin/solve", "");
    test::fs::permissions(dir / "hello/bin/solve", test::fs::perms(0755));
    options.directory = dir.path();
    options.environment = {"PATH=/usr/bin:/bin", "HOME=" + (dir / "home").string(),
                           "LC_ALL=C.UTF-8", "TERM=dumb"};
  }
};

/// The last part of each line, without what a shell puts around it: "--bind=" is "--bind",
/// "hello:/mnt/" is "mnt".
Offers normal(const std::string& lines) {
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

template <class Complete>
void check_all(Complete complete) {
  for (const Case& c : cases) {
    INFO(c.line);
    CHECK(complete(c.line) == c.offers);
  }
  const Offers all = complete("ch-run --");
  for (const auto& option : ch_run::table) {
    const std::string name = std::string("--") + option.name;
    INFO(name);
    if (option.help[0] != '\0') CHECK(all.count(name) == 1);
  }
}

// Splits a line as readline does, and calls the function as bash does.
constexpr const char* bash_driver = R"sh(
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
[[ $(complete -p ch-run) == 'complete -F _ch_run ch-run' ]] || exit 1
_ch_run
[[ ${#COMPREPLY[@]} -eq 0 ]] || printf '%s\n' "${COMPREPLY[@]}" | sort
)sh";

// An interactive zsh on a terminal of its own, which notes what is offered; ^T answers
// that the completion is over, ^U clears the line. All lines go to one, since it takes
// half a second to start. The answers to each follow it.
constexpr const char* zsh_inner = R"sh(
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
constexpr const char* zsh_outer = R"sh(
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

}  // namespace

TEST_CASE("bash completes ch-run", "[tool]") {
  const Fixture f;
  const std::string script = share() / "bash-completion/completions/ch-run";
  REQUIRE(test::fs::exists(script));
  SKIP_UNLESS(test::run({"bash", "--version"}).status == 0, "bash is not installed");
  check_all([&](const char* line) {
    const auto ran =
        test::run({"bash", "--norc", "-c", bash_driver, "bash", script, line}, f.options);
    CHECK(ran.err.empty());
    CHECK(ran.status == 0);
    return normal(ran.out);
  });
}

TEST_CASE("what bash has completed can be typed on", "[tool]") {
  const Fixture f;
  const std::string script = share() / "bash-completion/completions/ch-run";
  SKIP_UNLESS(test::run({"bash", "--version"}).status == 0, "bash is not installed");
  // Just what replaces the part of the word that readline has not split off.
  const std::pair<const char*, const char*> exact[] = {
      {"ch-run --explain=j", "json\n"},
      {"ch-run --bi", "--bind=\n"},
      {"ch-run --namespaces=pid,u", "pid,uts\n"},
      {"ch-run hello -b job.env:/only", "/onlyinside/\n"},
      {"ch-run hello -- /only", "/onlyinside/\n"},
      {"ch-run hello -c ",
       "/bin/\n/dev/\n/etc/\n/home/\n/mnt/\n/onlyinside/\n/proc/\n/sys/\n/tmp/\n"},
  };
  for (const auto& [line, offers] : exact) {
    INFO(line);
    const auto ran =
        test::run({"bash", "--norc", "-c", bash_driver, "bash", script, line}, f.options);
    CHECK(ran.out == offers);
  }
}

TEST_CASE("zsh completes ch-run", "[tool]") {
  Fixture f;
  REQUIRE(test::fs::exists(share() / "zsh/site-functions/_ch-run"));
  SKIP_UNLESS(test::run({"zsh", "--version"}).status == 0, "zsh is not installed");
  test::write_file(f.dir / "home/inner", zsh_inner);
  f.options.environment.push_back("scripts=" + (share() / "zsh/site-functions").string());
  f.options.environment.push_back("inner=" + (f.dir / "home/inner").string());
  f.options.environment.push_back("offers=" + (f.dir / "home/offers").string());
  std::vector<std::string> command = {"timeout", "60", "zsh", "-f", "-c", zsh_outer, "zsh"};
  for (const Case& c : cases) command.push_back(c.line);
  command.push_back("ch-run --");
  const auto ran = test::run(command, f.options);
  CHECK(ran.err.empty());
  CHECK(ran.status == 0);
  check_all([&](const char* line) {
    const std::string title = std::string("<") + line + ">\n";
    const auto at = ran.out.find(title);
    REQUIRE(at != std::string::npos);
    const auto from = at + title.size();
    return normal(ran.out.substr(from, ran.out.find('<', from) - from));
  });
}

TEST_CASE("fish completes ch-run", "[tool]") {
  const Fixture f;
  const std::string script = share() / "fish/vendor_completions.d/ch-run.fish";
  REQUIRE(test::fs::exists(script));
  SKIP_UNLESS(test::run({"fish", "--version"}).status == 0, "fish is not installed");
  check_all([&](const char* line) {
    const auto ran = test::run(
        {"fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", script, line},
        f.options);
    CHECK(ran.err.empty());
    CHECK(ran.status == 0);
    return normal(ran.out);
  });
}
