// SPDX-License-Identifier: Apache-2.0
//
// Untrusted JSON documents: read as nlohmann::json reads them, up to a number of levels.

#include "ch/io/json.hpp"

#include "tests/support/require.hpp"

namespace {

using ch::io::Document;
using ch::io::Json;

bool parses(const std::string& text) { return Document().parse(text); }

}  // namespace

TEST_CASE("a parsed document has the values of its text", "[image][pure]") {
  for (const char* text :
       {"null", "true", "-1", "18446744073709551615", "1.5", R"("a\u00e9\n")", "[]", "{}",
        R"([1,[2,{"a":[]},"b"],{}])", R"({"b":{"c":[null,false]},"a":{"":0}})",
        R"({"a":[1,[2]],"a":{"b":3},"c":4})"}) {
    Document document;
    CAPTURE(text);
    CHECK(document.parse(text));
    CHECK(document.json() == Json::parse(text));
    Document other;
    CHECK(other.parse("[[1],{\"a\":[2]}]"));
    other = std::move(document);
    CHECK(other.json() == Json::parse(text));
    CHECK(Document(std::move(other)).json() == Json::parse(text));
  }
}

TEST_CASE("a text that is not exactly one JSON value is refused", "[image][pure]") {
  for (const char* text : {"", " ", "{", "[1,]", "[1] 2", "{\"a\"}", "{1:2}", "nul", "1e999",
                           "\"\xff\"", "[1]]", "'a'"}) {
    CAPTURE(text);
    CHECK_FALSE(parses(text));
  }
}

TEST_CASE("a document of 100 levels is read, a deeper one is not", "[image][pure]") {
  const auto lists = [](std::size_t levels) {
    return std::string(levels, '[') + std::string(levels, ']');
  };
  const auto objects = [](std::size_t levels) {
    std::string text;
    for (std::size_t i = 0; i < levels; ++i) text += "{\"a\":";
    return text + "0" + std::string(levels, '}');
  };
  CHECK(parses(lists(100)));
  CHECK(parses(objects(100)));
  CHECK_FALSE(parses(lists(101)));
  CHECK_FALSE(parses(objects(101)));
  CHECK_FALSE(parses(std::string(1'000'000, '[')));
}
