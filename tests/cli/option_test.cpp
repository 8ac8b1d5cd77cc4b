// SPDX-License-Identifier: Apache-2.0
//
// The parser of command lines: GNU habits, by table.

#include "ch/cli/option.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "apps/ch-run/option_table.hpp"

namespace {

using ch::cli::Argument;
using ch::cli::Item;
using ch::cli::Option;
using ch::cli::Parser;

enum Id : int { opt_all, opt_bind, opt_color, opt_colour_map, opt_verbose };
constexpr Option options[] = {
    {opt_all, 'a', "all", Argument::none, "", "all of it", "One"},
    {opt_bind, 'b', "bind", Argument::required, "SRC", "show it", "One"},
    {opt_bind, 'd', "dir", Argument::required, "DIR", "", "One"},
    {opt_color, '\0', "color", Argument::optional, "WHEN", "paint", "Two"},
    {opt_color, 'C', "colors", Argument::optional, "WHEN", "", "Two"},
    {opt_colour_map, '\0', "colour-map", Argument::none, "", "draw", "Two"},
    {opt_verbose, 'v', "verbose", Argument::none, "", "talk", "Two"},
};

/// What the parser makes of the words, in one line: "b=x" for an option with its argument,
/// "'x'" for an operand, "!words: subject" for a problem, after which it stops.
std::string parsed(std::vector<const char*> words) {
  words.insert(words.begin(), "tool");
  Parser parser(options, static_cast<int>(words.size()), words.data());
  std::string out;
  for (Item item = parser.next(); item.kind != Item::Kind::end; item = parser.next()) {
    if (!out.empty()) out += ' ';
    if (item.kind == Item::Kind::error)
      return out + "!" + item.problem + ": " + std::string(item.subject);
    if (item.kind == Item::Kind::operand) {
      out += std::string("'") + item.value + "'";
    } else {
      out += "abcmv"[item.id];
      if (item.value != nullptr) out += std::string("=") + item.value;
    }
  }
  return out;
}

}  // namespace

TEST_CASE("options are found by letter and by name", "[pure]") {
  CHECK(parsed({}).empty());
  CHECK(parsed({"-a", "--all"}) == "a a");
  CHECK(parsed({"-b", "x", "-bx", "--bind", "x", "--bind=x"}) == "b=x b=x b=x b=x");
  CHECK(parsed({"-d", "x", "--dir=x"}) == "b=x b=x");  // an alias
}

TEST_CASE("letters can stand together, the last one with its argument", "[pure]") {
  CHECK(parsed({"-avv"}) == "a v v");
  CHECK(parsed({"-avbx", "-vb", "x"}) == "a v b=x v b=x");
  CHECK(parsed({"-ab-a"}) == "a b=-a");
}

TEST_CASE("an argument is what follows, whatever it looks like", "[pure]") {
  CHECK(parsed({"-b", "-a"}) == "b=-a");
  CHECK(parsed({"--bind", "--"}) == "b=--");
  CHECK(parsed({"--bind="}) == "b=");
  CHECK(parsed({"--bind=a=b"}) == "b=a=b");
  CHECK(parsed({"-b", ""}) == "b=");
}

TEST_CASE("an optional argument has to be joined", "[pure]") {
  CHECK(parsed({"--color", "x"}) == "c 'x'");
  CHECK(parsed({"--color=x"}) == "c=x");
  CHECK(parsed({"-C", "x"}) == "c 'x'");
  CHECK(parsed({"-Cx"}) == "c=x");
}

TEST_CASE("names can be cut as long as one option is meant", "[pure]") {
  CHECK(parsed({"--al", "--bi=x", "--verb"}) == "a b=x v");
  CHECK(parsed({"--color"}) == "c");  // whole, though it starts another name
  CHECK(parsed({"--colors"}) == "c");
  CHECK(parsed({"--colou"}) == "m");
  CHECK(parsed({"--colo"}) == "!ambiguous option: --colo");
  CHECK(parsed({"--"}).empty());
}

TEST_CASE("operands may stand among options until --", "[pure]") {
  CHECK(parsed({"x", "-a", "y"}) == "'x' a 'y'");
  CHECK(parsed({"x", "--", "-a", "--", "--nope"}) == "'x' '-a' '--' '--nope'");
  CHECK(parsed({"-", "-a"}) == "'-' a");
  CHECK(parsed({""}) == "''");
  std::vector<const char*> words{"tool", "x", "-a"};
  Parser parser(options, 3, words.data());
  CHECK(std::string(parser.next().value) == "x");
  parser.stop_options();
  CHECK(parser.next().kind == Item::Kind::operand);
}

TEST_CASE("what is wrong is named as it was written", "[pure]") {
  CHECK(parsed({"-x"}) == "!unknown option: x");
  CHECK(parsed({"-ax"}) == "a !unknown option: x");
  CHECK(parsed({"--nope"}) == "!unknown option: --nope");
  CHECK(parsed({"--nope=1"}) == "!unknown option: --nope=1");
  CHECK(parsed({"--all=1"}) == "!this option takes no argument: --all=1");
  CHECK(parsed({"-b"}) == "!this option needs an argument: b");
  CHECK(parsed({"--bind"}) == "!this option needs an argument: --bind");
}

TEST_CASE("no command line at all is an empty one", "[pure]") {
  Parser parser(options, 0, nullptr);
  CHECK(parser.next().kind == Item::Kind::end);
  CHECK(parser.next().kind == Item::Kind::end);
}

TEST_CASE("the table of ch-run is sound", "[pure]") {
  for (const Option& o : ch_run::table) {
    INFO(o.name << " " << o.letter);
    CHECK((o.letter != '\0' || o.name[0] != '\0'));
    CHECK((o.argument == Argument::none) == (o.placeholder[0] == '\0'));
    int same_letter = 0;
    int same_name = 0;
    int documented = 0;
    for (const Option& other : ch_run::table) {
      if (o.letter != '\0' && other.letter == o.letter) ++same_letter;
      if (o.name[0] != '\0' && std::string(other.name) == o.name) ++same_name;
      if (other.id == o.id && other.help[0] != '\0') ++documented;
      // Another row of the same option takes its argument in the same way.
      if (other.id == o.id) CHECK(other.argument == o.argument);
    }
    CHECK(same_letter <= 1);
    CHECK(same_name <= 1);
    CHECK(documented == 1);
    const std::string help(o.help);
    if (help.empty()) continue;
    CHECK(o.group[0] != '\0');
    CHECK(help.back() != '.');
    CHECK(help.find("  ") == std::string::npos);
  }
}
