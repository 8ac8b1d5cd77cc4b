// SPDX-License-Identifier: Apache-2.0
//
// What completions know of a tool agrees with what the tool does; the scripts themselves
// are tried in their shells by tests/tools/completion_test.cpp.

#include "ch/cli/completion.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "apps/ch-run/command_line.hpp"
#include "apps/ch-run/documented.hpp"
#include "ch/cli/complete_bash.hpp"
#include "ch/cli/complete_fish.hpp"
#include "ch/cli/complete_zsh.hpp"

namespace {

using ch::cli::Completes;
using ch::cli::Option;

std::vector<std::string> words_of(std::string_view list) {
  std::vector<std::string> words(1);
  for (const char c : list) {
    if (c != ' ')
      words.back() += c;
    else
      words.emplace_back();
  }
  return words;
}

}  // namespace

TEST_CASE("every word that is offered is one that ch-run takes", "[pure]") {
  for (const Option& o : ch_run::table) {
    const ch::cli::Completion a = ch::cli::detail::completion_of(ch_run::documented, o);
    if (o.name[0] == '\0' || a.words.empty()) continue;
    for (const std::string& word : words_of(a.words)) {
      const std::string text = std::string("--") + o.name + "=" + word;
      INFO(text);
      const char* argv[] = {"ch-run", text.c_str(), "image"};
      ch::ArenaOf<65536> arena;
      ch_run::Options chosen;
      const auto wrong = ch_run::parse(3, argv, arena, chosen);
      CHECK((wrong.problem == nullptr ? "" : std::string(wrong.problem)).empty());
      // The help must mention it.
      if (o.help[0] != '\0') CHECK(std::string_view(o.help).find(word) != std::string_view::npos);
    }
  }
}

TEST_CASE("a menu shows the first clause of the help", "[pure]") {
  using ch::cli::detail::clause;
  CHECK(clause("start here (default: there)") == "start here");
  CHECK(clause("do it; twice: more") == "do it");
  CHECK(clause("can it? Print") == "can it");
  CHECK(clause("colour: when") == "colour");
  CHECK(clause("read /etc/x.conf") == "read /etc/x.conf");
}

TEST_CASE("what shells would interpret is quoted", "[pure]") {
  using namespace ch::cli::detail;
  CHECK(quoted("don't $x") == "'don'\\''t $x'");
  CHECK(fish_quoted("don't \\x") == "'don\\'t \\\\x'");
  CHECK(escaped("[a]:b", "[]:") == "\\[a\\]\\:b");
}

TEST_CASE("a tool with different options and operands gets its own completions", "[pure]") {
  constexpr Option options[] = {{'f', "force", "", "do it anyway", "All"}};
  constexpr Completes operands[] = {Completes::file, Completes::directory, Completes::nothing};
  const ch::cli::Tool tool{"my-tool", options, {}, operands};
  std::string bash;
  std::string zsh;
  std::string fish;
  ch::cli::write_bash_completion(tool, [&](std::string_view text) { bash += text; });
  ch::cli::write_zsh_completion(tool, [&](std::string_view text) { zsh += text; });
  ch::cli::write_fish_completion(tool, [&](std::string_view text) { fish += text; });
  CHECK(bash.find("\ncomplete -F _my_tool my-tool\n") != std::string::npos);
  CHECK(bash.find("    0) _my_tool_kind file ;;\n    1) _my_tool_kind directory ;;\n"
                  "    *) _my_tool_kind nothing ;;\n") != std::string::npos);
  CHECK(zsh.rfind("#compdef my-tool\n", 0) == 0);
  CHECK(zsh.find("    '*--force[do it anyway]'") != std::string::npos);
  CHECK(fish.find("complete -c my-tool -s f -l force -d 'do it anyway'\n") != std::string::npos);
  for (const std::string* script : {&bash, &zsh, &fish}) {
    CHECK(script->find("@@") == std::string::npos);
    CHECK(script->find("@T@") == std::string::npos);
  }
}
