// SPDX-License-Identifier: Apache-2.0
//
// The same archive gives the same tree every time, to the last mode and time, with what we add
// for ch-run: by any number of threads, in a container and without.

#include "tests/image/tool_fixture.hpp"

namespace {

using test::Layout;
using test::run;
using test::Tar;
using Fixture = test::ToolFixture;

/// Everything of a tree that is visible to a user, except inodes.
std::string whole(const std::string& tree) {
  const test::Ran ran = run({"sh", "-c",
                             "cd \"$1\" && find . -printf '%P %y %m %n %s %T@ %l\\n' | sort && "
                             "find . -type f -exec sha256sum {} + | sort",
                             "sh", tree});
  REQUIRE(ran.status == 0);
  REQUIRE(ran.out.size() > 1000);
  return ran.out;
}

/// Layers in which the order of work matters: repeated names, links to files that may
/// not be written yet, whiteouts of what a lower layer has.
std::string layered() {
  Tar lower, upper;
  lower.dir("bin/").dir("dev/").dir("usr/").symlink("lib", "usr");
  for (int i = 0; i < 300; ++i) {
    const std::string name = "d" + std::to_string(i % 7) + "/" + std::to_string(i);
    lower.file(name, std::string(static_cast<std::size_t>(i * 31 % 5000), 'x'));
    if (i % 5 == 0) lower.hard_link("h" + std::to_string(i), name);
    if (i % 11 == 0) lower.file(name, "again");
    if (i % 3 == 0) upper.file(name, std::to_string(i));
    if (i % 13 == 0) upper.file("d" + std::to_string(i % 7) + "/.wh." + std::to_string(i), "");
    if (i % 17 == 0) upper.file("lib/through" + std::to_string(i), "below a link");
  }
  lower.file("large", std::string(3 << 20, 'l'));
  upper.file("d3/.wh..wh..opq", "").hard_link("large2", "large");
  return test::image_archive({{lower.bytes(), upper.bytes()}, "gzip", {}}, Layout::oci);
}

}  // namespace

TEST_CASE("the same archive gives the same tree, ten times and by 1, 2 and 8 threads",
          "[image][tool]") {
  const Fixture f;
  test::write_file(f.archive, layered());
  std::string first;
  int runs = 0;
  for (const char* how : {"--contain=always", "--contain=never"})
    for (const char* threads : {"-j1", "-j1", "-j2", "-j8", "-j8"}) {
      REQUIRE(f.unpack({"--no-sync", how, threads}).status == 0);
      const std::string tree = whole(f.image);
      if (first.empty()) first = tree;
      ++runs;
      CAPTURE(how, threads, runs);
      CHECK((tree == first));
    }
  CHECK(runs == 10);
}
