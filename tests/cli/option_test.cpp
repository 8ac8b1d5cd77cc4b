// SPDX-License-Identifier: Apache-2.0
//
// The command-line parser: GNU conventions, driven by a table.

#include "ch/cli/option.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "apps/ch-fromhost/documented.hpp"
#include "apps/ch-run/documented.hpp"
#include "apps/ch-tar2dir/documented.hpp"
#include "ch/cli/usage_text.hpp"
#include "tests/support/option_table.hpp"

namespace {

using ch::cli::Item;
using ch::cli::Option;
using ch::cli::Parser;

constexpr Option options[] = {
    {'a', "all", "", "all of it", "One"},
    {'b', "bind", "SRC", "show it", "One"},
    {'d', "dir", "DIR"},
    {'\0', "color", "[WHEN]", "paint", "Two"},
    {'C', "colors", "[WHEN]"},
    {'\0', "colour-map", "", "draw", "Two"},
    {'v', "verbose", "", "talk", "Two"},
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
      out += "ab?c?mv"[item.index];
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

TEST_CASE("short options can be joined, the last one with its argument", "[pure]") {
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

TEST_CASE("an optional argument must be joined to its option", "[pure]") {
  CHECK(parsed({"--color", "x"}) == "c 'x'");
  CHECK(parsed({"--color=x"}) == "c=x");
  CHECK(parsed({"-C", "x"}) == "c 'x'");
  CHECK(parsed({"-Cx"}) == "c=x");
}

TEST_CASE("option names can be abbreviated if unambiguous", "[pure]") {
  CHECK(parsed({"--al", "--bi=x", "--verb"}) == "a b=x v");
  CHECK(parsed({"--color"}) == "c");  // whole, though it starts another name
  CHECK(parsed({"--colors"}) == "c");
  CHECK(parsed({"--colou"}) == "m");
  CHECK(parsed({"--colo"}) == "!ambiguous option: --colo");
  CHECK(parsed({"--"}).empty());
}

TEST_CASE("operands may occur among options until --", "[pure]") {
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

TEST_CASE("errors quote the argument as it was written", "[pure]") {
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

TEST_CASE("the tables of ch-run, ch-tar2dir and ch-fromhost are sound", "[pure]") {
  test::check_table(ch_run::documented, ch_run::handlers);
  test::check_table(ch_tar2dir::documented, ch_tar2dir::handlers);
  test::check_table(ch_fromhost::documented, ch_fromhost::handlers);
}

namespace {
struct Values {
  bool all = false;
  int loud = 0;
  std::string text;
  unsigned threads = 0;
  enum class When { never, always } when = When::never;
};
constexpr char when_words[] = "never always";
constexpr ch::cli::Described<Values> rows[] = {
    {{'a', "all", "", "all of it", "One"}, ch::cli::sets<&Values::all, true>},
    {{'v', "verbose", "", "talk", "One"}, ch::cli::counts<&Values::loud>},
    {{'t', "text", "TEXT", "say it", "One"}, ch::cli::text<&Values::text>},
    {{'T', "say", "TEXT"}},
    {{'j', "threads", "N", "how many", "One"}, ch::cli::number<&Values::threads, 1, 256>},
    {{'w', "when", "WHEN", "when", "One"}, ch::cli::one_of<&Values::when, when_words>},
};
constexpr auto table = ch::cli::options_of(rows);
constexpr auto takes = ch::cli::handlers_of(rows);

/// Reads the words; returns what was wrong.
std::string read(std::vector<const char*> words, Values& values, std::string& operands) {
  words.insert(words.begin(), "tool");
  const auto operand = [&operands](const char* word) {
    operands += word;
    return ch::cli::UsageError{};
  };
  return ch::cli::text_of(
      ch::cli::read(table, takes, static_cast<int>(words.size()), words.data(), values, operand));
}
}  // namespace

TEST_CASE("a described option gives its value to the member that it names", "[pure]") {
  Values v;
  std::string operands;
  CHECK(read({"-avv", "x", "-T", "one", "--threads=256", "--when", "always", "y"}, v, operands) ==
        "");
  CHECK(v.all);
  CHECK(v.loud == 2);
  CHECK(v.text == "one");
  CHECK(v.threads == 256);
  CHECK(v.when == Values::When::always);
  CHECK(operands == "xy");
}

TEST_CASE("an invalid argument of an option is named with what it should be", "[pure]") {
  Values v;
  std::string operands;
  CHECK(read({"-j", "0"}, v, operands) == "--threads: \"0\" is not a valid N");
  CHECK(read({"-j257"}, v, operands) == "--threads: \"257\" is not a valid N");
  CHECK(read({"--when=alw"}, v, operands) == "--when: \"alw\" is not a valid WHEN");
  CHECK(read({"--when="}, v, operands) == "--when: \"\" is not a valid WHEN");
  CHECK(read({"--no"}, v, operands) == "unknown option: --no");
  CHECK(v.threads == 0);
  CHECK(v.when == Values::When::never);
}

TEST_CASE("a set of rows contains those that it names", "[pure]") {
  constexpr ch::cli::RowSet some(table, {"all", "when"});
  CHECK(some.has(0));
  CHECK_FALSE(some.has(1));
  CHECK(some.has(5));
}
