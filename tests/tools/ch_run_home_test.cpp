// SPDX-License-Identifier: Apache-2.0
//
// What the user writes to ~ is kept, or he is told before that it will not be.

#include "tests/support/ch_run.hpp"

using test::contains;

TEST_CASE("a home that does not exist is named before anything is lost in it", "[tool]") {
  test::ChRun f;
  CHECK(f.script("touch $HOME/x").err.empty());
  test::fs::remove_all(f.home);
  for (const std::string way : {"detached", "attached", "classic"}) {
    const auto ran = f.script("touch $HOME/x", {"--assembly=" + way});
    INFO(way << ": " << ran.err);
    CHECK(ran.status == 0);
    CHECK(contains(ran.err, "your home directory " + f.home + " does not exist"));
    CHECK(contains(ran.err, "is lost at the end"));
    CHECK(f.script("true", {"--assembly=" + way, "--no-home"}).err.empty());
    CHECK(f.script("true", {"--assembly=" + way, "-q"}).err.empty());
  }
}

TEST_CASE("a tree that is put together twice warns of the home once", "[tool]") {
  test::ChRun f;
  test::fs::remove_all(f.home);
  const auto ran = f.script("true", {"-b", f.dir / "image:/late/mount/point"});
  CHECK(ran.status == 0);
  const auto first = ran.err.find("does not exist");
  REQUIRE(first != std::string::npos);
  CHECK(ran.err.find("does not exist", first + 1) == std::string::npos);
}
