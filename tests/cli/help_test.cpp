// SPDX-License-Identifier: Apache-2.0
//
// --help and --usage, from a table of options.

#include "ch/cli/help.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "apps/ch-run/option_table.hpp"
#include "ch/cli/usage.hpp"

namespace {

using ch::cli::Option;

constexpr Option options[] = {
    {'a', "all", "", "all of it", "First"},
    {'b', "bind", "SRC", "show it", "First"},
    {'d', "dir", "DIR"},
    {'\0', "color", "[WHEN]",
     "a text that is so long that it can not stand in one line of a terminal", "Second"},
    {'\0', "a-name-that-needs-much-room", "", "draw", "Second"},
    {'x', "", "N", "just a letter", "Second"},
};

std::string help(std::span<const Option> table) {
  std::string out;
  ch::cli::print_options(table, [&](std::string_view text) { out += text; });
  return out;
}
std::string usage(std::span<const Option> table) {
  std::string out;
  ch::cli::print_usage("tool", table, "FILE", [&](std::string_view text) { out += text; });
  return out;
}

std::size_t longest_line(const std::string& text) {
  std::size_t longest = 0;
  for (std::size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
    longest = std::max(longest, end - at);
  return longest;
}

}  // namespace

TEST_CASE("help is in groups and columns", "[pure]") {
  CHECK(help(options) ==
        "\n"
        "First:\n"
        "  -a, --all                 all of it\n"
        "  -b, --bind=SRC            show it\n"
        "\n"
        "Second:\n"
        "      --color[=WHEN]        a text that is so long that it can not stand in\n"
        "                            one line of a terminal\n"
        "      --a-name-that-needs-much-room\n"
        "                            draw\n"
        "  -x N                      just a letter\n");
}

TEST_CASE("ch-run's help fits a terminal and leaves no option out", "[pure]") {
  const std::string text = help(ch_run::table);
  CHECK(longest_line(text) <= 80);
  for (const Option& o : ch_run::table) {
    INFO(o.name);
    if (o.help[0] != '\0') CHECK(text.find(std::string("--") + o.name) != std::string::npos);
  }
}

TEST_CASE("usage names every option in a few lines", "[pure]") {
  const std::string text = usage(ch_run::table);
  CHECK(text.rfind("Usage: tool [-", 0) == 0);
  CHECK(text.find(" FILE\n") != std::string::npos);
  CHECK(text.find("[--bind=SRC[:DST[:ro]]]") != std::string::npos);
  CHECK(text.find("[--explain[=FORM]]") != std::string::npos);
  CHECK(text.find("--dir") == std::string::npos);
  CHECK(longest_line(text) <= 80);
  for (const Option& o : ch_run::table) {
    INFO(o.name);
    if (o.help[0] != '\0') CHECK(text.find(std::string("[--") + o.name) != std::string::npos);
  }
}
