// SPDX-License-Identifier: Apache-2.0
//
// The options of a manual page, as roff.

#include "ch/cli/manual.hpp"

#include <catch2/catch.hpp>

namespace {

using ch::cli::Option;

constexpr Option options[] = {
    {'a', "all", "", "all of it", "First"},
    {'b', "bind", "SRC[:DST]", "write a colon as \\:, don't ~", "First"},
    {'d', "dir", "DIR"},
    {'\0', "no-color", "[WHEN]", ".like a request", "Second"},
};

std::string manual(std::string_view source, std::string_view version = "1.2.3") {
  std::string out;
  ch::cli::write_manual(source, options, version, [&](std::string_view text) { out += text; });
  return out;
}

}  // namespace

TEST_CASE("options replace the mark in the page", "[pure]") {
  CHECK(manual("before\n@OPTIONS@\nafter\n") ==
        "before\n"
        ".SS First\n"
        ".TP\n"
        "\\fB\\-a\\fR, \\fB\\-\\-all\\fR\n"
        "all of it\n"
        ".TP\n"
        "\\fB\\-b\\fR, \\fB\\-\\-bind\\fR=\\fISRC[:DST]\\fR\n"
        "write a colon as \\e:, don\\(aqt \\(ti; also spelled \\fB\\-d\\fR, "
        "\\fB\\-\\-dir\\fR=\\fIDIR\\fR\n"
        ".SS Second\n"
        ".TP\n"
        "\\fB\\-\\-no\\-color\\fR[=\\fIWHEN\\fR]\n"
        "\\&.like a request\n"
        "after\n");
}

TEST_CASE("the version replaces the mark in the page", "[pure]") {
  CHECK(manual("a @VERSION@ b\n@VERSION@", "0.9") == "a 0.9 b\n0.9\n");
  CHECK(manual("").empty());
  CHECK(manual("nothing here") == "nothing here\n");
}
