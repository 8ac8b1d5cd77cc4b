// SPDX-License-Identifier: Apache-2.0
//
// The table of directories and the set of hashes: what is noted is found again, what is gone
// is not, however much comes and goes.

#include "ch/image/directory_table.hpp"

#include <catch2/catch.hpp>

#include <map>

#include "ch/image/hash_set.hpp"

namespace {

using ch::images::DirectoryAttributes;
using ch::images::DirectoryTable;

DirectoryAttributes look_with(mode_t mode, long seconds) {
  DirectoryAttributes look;
  look.mode = mode;
  look.modified = {seconds, 7};
  return look;
}

/// Path and mode of what walk() shows; 0 for what only leads to others. Fails if a parent is
/// left before its children.
std::map<std::string, mode_t> seen(DirectoryTable& table, const std::string& closed = "none") {
  std::map<std::string, mode_t> all;
  std::vector<std::string> inside;
  table.walk(
      [&](const std::string& name, const auto& path) {
        CHECK(path() == (inside.empty() ? name : inside.back() + "/" + name));
        if (path() == closed) return false;
        inside.push_back(path());
        return true;
      },
      [&](const DirectoryAttributes* look, const auto& path) {
        CHECK(path() == (inside.empty() ? "" : inside.back()));
        if (!inside.empty()) inside.pop_back();
        all[path()] = look != nullptr ? look->mode : 0;
      });
  CHECK(inside.empty());
  return all;
}

}  // namespace

TEST_CASE("a table of directories has the last state of each, and children before parents",
          "[image][pure]") {
  DirectoryTable table;
  CHECK_FALSE(table.announced(""));
  table.announce("a/b/c", look_with(0700, 1));
  table.announce("a", look_with(0711, 2));
  table.announce("a/b/c", look_with(0755, 3));
  table.announce("", look_with(0555, 4));
  table.announce("ab", look_with(01777, 5));
  CHECK(table.announced(""));
  CHECK(table.announced("a"));
  CHECK_FALSE(table.announced("a/b"));
  CHECK_FALSE(table.announced("a/b/d"));
  const std::map<std::string, mode_t> all = {
      {"", 0555}, {"a", 0711}, {"a/b", 0}, {"a/b/c", 0755}, {"ab", 01777}};
  CHECK(seen(table) == all);
  CHECK(seen(table) == all);
  CHECK(seen(table, "a/b") ==
        std::map<std::string, mode_t>{{"", 0555}, {"a", 0711}, {"ab", 01777}});
  table.forget("a/b");
  CHECK_FALSE(table.announced("a/b/c"));
  table.forget("a/none");
  table.forget("");
  table.announce("a/b", look_with(0700, 1));
  CHECK(seen(table) ==
        std::map<std::string, mode_t>{{"", 0555}, {"a", 0711}, {"a/b", 0700}, {"ab", 01777}});
}

TEST_CASE("a table of directories keeps its entries while others come and go", "[image][pure]") {
  DirectoryTable table;
  std::map<std::string, mode_t> expected = {{"", 0}};
  for (int i = 0; i < 2000; ++i) {
    const std::string path = "kept" + std::to_string(i % 50) + "/" + std::to_string(i);
    table.announce(path, look_with(0700, i));
    expected[path] = 0700;
    expected["kept" + std::to_string(i % 50)] = 0;
  }
  for (int round = 0; round < 3000; ++round) {
    for (int i = 0; i < 10; ++i)
      table.announce("goes/" + std::to_string(i) + "/below", look_with(0755, round));
    table.forget("goes");
    CHECK_FALSE(table.announced("goes/1/below"));
  }
  CHECK(seen(table) == expected);
}

TEST_CASE("a set of hashes contains what was inserted, including 0", "[image][pure]") {
  ch::images::HashSet set;
  CHECK_FALSE(set.contains(0));
  for (std::uint64_t i = 0; i < 100'000; ++i) REQUIRE(set.insert(i * 0x1000));
  for (std::uint64_t i = 0; i < 100'000; ++i) REQUIRE_FALSE(set.insert(i * 0x1000));
  CHECK(set.contains(0x1000));
  CHECK_FALSE(set.contains(0x1001));
  set.clear();
  CHECK_FALSE(set.contains(0x1000));
}
