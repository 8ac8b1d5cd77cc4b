// SPDX-License-Identifier: Apache-2.0
//
// Undoing goes backwards: for a name that was changed twice, the first content
// is restored; of directories, the inner ones are removed first.

#include <catch2/catch.hpp>

#include "ch/inject/undo.hpp"
#include "tests/support/files.hpp"

using namespace ch::injection;
using namespace ch::io;
namespace fs = std::filesystem;

TEST_CASE("a name that was changed twice gets back its first content", "[inject][pure]") {
  const test::TempDir dir;
  const fs::path image = dir / "image";
  fs::create_directories(image / "etc");
  fs::create_directories(image / "ch" / kept_name);
  test::write_file(image / "ch" / kept_name / "1", "at first");
  test::write_file(image / "ch" / kept_name / "2", "after the first change");
  test::write_file(image / "etc/file", "after the second change");
  test::write_file(image / "ch" / journal_name, "{}");
  Journal journal;
  for (const std::uint64_t number : {1U, 2U})
    journal.changes.push_back({"/etc", "file", number, true, 0});
  CHECK(undo::revert_all(ImageTree(image.string()), journal).empty());
  CHECK(test::read_file(image / "etc/file") == "at first");
  CHECK(fs::is_empty(image / "ch" / kept_name));
  CHECK_FALSE(fs::exists(image / "ch" / journal_name));
}

TEST_CASE("created directories are removed with those in them", "[inject][pure]") {
  const test::TempDir dir;
  const fs::path image = dir / "image";
  fs::create_directories(image / "opt/a/b");
  fs::create_directories(image / "ch");
  Journal journal;
  journal.directories = {"/opt/a", "/opt/a/b"};
  CHECK(undo::revert_all(ImageTree(image.string()), journal).empty());
  CHECK(fs::exists(image / "opt"));
  CHECK_FALSE(fs::exists(image / "opt/a"));
}
