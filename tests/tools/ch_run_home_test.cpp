// SPDX-License-Identifier: Apache-2.0
//
// What the user writes to ~ is kept, or a warning says beforehand that it will not be.

#include "tests/support/ch_run.hpp"

using test::contains;

TEST_CASE("a home that does not exist is named before anything is written to it", "[tool]") {
  test::ChRun f;
  CHECK(f.script("touch $HOME/x").err.empty());
  test::fs::remove_all(f.home);
  bool is_file = false;
  SECTION("or is a file, as /dev/null is the home of daemons") {
    test::write_file(f.home, "");
    is_file = true;
  }
  SECTION("or is nowhere") {}
  for (const std::string way : {"detached", "attached", "classic"}) {
    const auto ran = f.script("touch $HOME/x", {"--assembly=" + way});
    INFO(way << ": " << ran.err);
    CHECK(ran.status == 0);
    CHECK(contains(ran.err, "your home directory " + f.home + " is not a directory"));
    CHECK(contains(ran.err, "is lost at the end"));
    CHECK(f.script("true", {"--assembly=" + way, "--no-home"}).err.empty());
    CHECK(f.script("true", {"--assembly=" + way, "-q"}).err.empty());
    CHECK(test::fs::is_regular_file(f.home) == is_file);
  }
}

TEST_CASE("a tree that is assembled twice warns about the home once", "[tool]") {
  test::ChRun f;
  test::fs::remove_all(f.home);
  const auto ran = f.script("true", {"-b", f.dir / "image:/late/mount/point"});
  CHECK(ran.status == 0);
  const auto first = ran.err.find("is not a directory");
  REQUIRE(first != std::string::npos);
  CHECK(ran.err.find("is not a directory", first + 1) == std::string::npos);
}
