// SPDX-License-Identifier: Apache-2.0
//
// Requirements on the option table of every tool.
#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "ch/cli/completion.hpp"

namespace test {

/// Does the option table `takes` match the rows of `tool`?
template <class Takes>
void check_table(const ch::cli::Tool& tool, const Takes& takes) {
  using namespace ch::cli;
  REQUIRE(tool.options.size() == takes.size());
  REQUIRE(tool.options.size() == tool.arguments.size());
  REQUIRE_FALSE(tool.options.front().is_alias());
  for (std::size_t row = 0; row < takes.size(); ++row) {
    const Option& o = tool.options[row];
    const Completion& argument = tool.arguments[row];
    INFO(tool.name << " " << o.name << " " << o.letter);
    CHECK((o.letter != '\0' || o.name[0] != '\0'));
    int same_letter = 0;
    int same_name = 0;
    for (const Option& other : tool.options) {
      if (o.letter != '\0' && other.letter == o.letter) ++same_letter;
      if (o.name[0] != '\0' && std::string(other.name) == o.name) ++same_name;
    }
    CHECK(same_letter <= 1);
    CHECK(same_name <= 1);

    CHECK((takes[row] == nullptr) == o.is_alias());
    const bool has_words = argument.kind == Completes::words || argument.kind == Completes::list;
    CHECK(has_words == !argument.words.empty());
    if (o.is_alias()) {
      // Another spelling takes its argument in the same way, and has nothing of its own.
      CHECK(o.argument == tool.options[row - 1].argument);
      CHECK(argument.kind == Completes::nothing);
      CHECK(o.group[0] == '\0');
      continue;
    }
    // Everything that a shell can complete is completed.
    const std::string_view shown = o.argument_name();
    const bool is_path = shown.find("DIR") != std::string_view::npos ||
                         shown.find("FILE") != std::string_view::npos || shown.find("PATH") == 0 ||
                         shown.find("SRC") == 0;
    if (is_path) CHECK(argument.kind != Completes::nothing);
    if (o.argument == Argument::none) CHECK(argument.kind == Completes::nothing);

    const std::string help(o.help);
    CHECK(o.group[0] != '\0');
    CHECK(help.back() != '.');
    CHECK(help.find("  ") == std::string::npos);
  }
}

}  // namespace test
