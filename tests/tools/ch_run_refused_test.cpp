// SPDX-License-Identifier: Apache-2.0
//
// A run that is refused has not been: the image, the user's layer over it and the host are as
// they were.

#include <unistd.h>

#include <set>

#include "tests/support/ch_run.hpp"

using test::contains;

namespace {

struct Place : test::ChRun {
  std::string layer = dir / "layer";
  std::string kept = dir / "kept";  // a layer's directory that was there before

  Place() {
    test::fs::create_directory(kept);
    test::fs::create_directories(dir / "source/below");
    test::write_file(dir / "file", "text\n");
  }
  /// All names below the directory of the test.
  [[nodiscard]] std::set<std::string> names() const {
    std::set<std::string> all;
    for (const auto& e : test::fs::recursive_directory_iterator(
             dir.path(), test::fs::directory_options::skip_permission_denied))
      all.insert(e.path());
    return all;
  }
};

const std::vector<std::string> ways = {"detached", "attached", "classic"};

}  // namespace

TEST_CASE("a refused run leaves neither mount points nor links nor a layer", "[tool]") {
  const Place p;
  const std::string source = p.dir / "source";
  const std::vector<std::vector<std::string>> made = {
      {"-b", source + ":/new/deep/x"},
      {"-b", source + ":/new/deep/x", "-b", p.dir.path().string() + "/file:/new/file"},
      {"-b", source + "/below:/new/below", "-b", source + ":/new"},  // covers what was made first
      {"--symlink=a:/links/new", "--symlink=b:/link"},
      {"--copy=" + p.dir.path().string() + "/file:/copies/file"}};
  const std::vector<std::vector<std::string>> refused = {
      {"-b", p.dir.path().string() + "/not-there:/y"},             // while the tree is put together
      {"-b", p.dir.path().string() + "/file:/mnt"},                // of the wrong kind
      {"--cd=/not/there"},                                         // in the container already
      {"--join-ct=2", "--join-tag=refused", "--join-timeout=1"}};  // the others don't come
  const auto before = p.names();
  for (const std::string& layer : {std::string("-w"), "--overlay=" + p.layer,
                                   "--overlay=" + p.layer + "/", "--overlay=" + p.kept})
    for (const auto& making : made)
      for (const auto& refusing : refused)
        for (const std::string& way : ways) {
          if (refusing.front().rfind("--join", 0) == 0 && way != "detached") continue;  // slow
          std::vector<std::string> all = {"--no-home", "--assembly=" + way, layer};
          all.insert(all.end(), making.begin(), making.end());
          all.insert(all.end(), refusing.begin(), refusing.end());
          const auto ran = p.script("true", all);
          INFO(layer << ' ' << making.back() << ' ' << refusing.back() << ' ' << way << '\n'
                     << ran.err);
          CHECK(ran.status == 31);
          REQUIRE(p.names() == before);
        }
}

TEST_CASE("a refused run with a process tree of its own leaves nothing either", "[tool]") {
  const Place p;
  const auto before = p.names();
  for (const std::string& layer : {std::string("-w"), "--overlay=" + p.layer}) {
    const auto ran =
        p.script("true", {"--namespaces=pid", layer, "-b", p.home + ":/new/x", "--cd=/not/there"});
    INFO(ran.err);
    CHECK(ran.status == 31);
    CHECK(p.names() == before);
  }
}

TEST_CASE("what a refused run has made and others have filled meanwhile stays theirs", "[tool]") {
  const Place p;
  // In the layer before: neither it nor what is in it was made by the run that is refused.
  REQUIRE(p.script("mkdir -p /new/mine; echo x > /new/mine/x", {"--overlay=" + p.layer}).status ==
          0);
  const auto before = p.names();
  const auto ran = p.script("true", {"--overlay=" + p.layer, "-b", p.home + ":/new/mine", "-b",
                                     p.home + ":/new/other", "--cd=/not/there"});
  CHECK(ran.status == 31);
  CHECK(p.names() == before);
  CHECK(test::read_file(p.layer + "/upper/new/mine/x") == "x\n");
}

TEST_CASE("a link that took the place of another can't come back, and is named", "[tool]") {
  const Place p;
  test::fs::create_symlink("before", p.image + "/link");
  const auto ran = p.script("true", {"-w", "--symlink=after:/link", "--cd=/not/there"});
  INFO(ran.err);
  CHECK(ran.status == 31);
  CHECK(contains(ran.err, "warning: what was made for this run at /link stays in the image"));
}

TEST_CASE("a run whose container stood keeps its mount points, as any run does", "[tool]") {
  const Place p;
  CHECK(p.ch_run({"-w", "-b", p.home + ":/new/x", p.image, "--", "not-a-program"}).status == 49);
  CHECK(test::fs::is_directory(p.image + "/new/x"));
}

TEST_CASE("a descriptor that nobody has given is not one of ours", "[tool]") {
  const Place p;
  auto options = p.options;
  options.in_child = [] {
    for (int fd = 3; fd < 60; ++fd) close(fd);
  };
  const std::string list =
      "for d in /proc/self/fd/*; do readlink $d >/dev/null && printf '%s ' ${d##*/}; done";
  std::vector<std::string> arguments = {test::ch_run_path()};
  for (int fd = 3; fd < 60; ++fd) arguments.push_back("--keep-fd=" + std::to_string(fd));
  for (const std::string& more : {std::string("--no-conf"), std::string("--namespaces=pid")}) {
    auto words = arguments;
    words.insert(words.end(), {more, p.image, "--", "sh", "-c", list});
    const auto ran = test::run(words, options);
    INFO(ran.err);
    CHECK(ran.out == "0 1 2 ");
  }
  // What a recursive make says to children that it has not given its job server to.
  options.environment.push_back("MAKEFLAGS= -j2 --jobserver-auth=3,4");
  CHECK(test::run({test::ch_run_path(), p.image, "--", "sh", "-c", list}, options).out == "0 1 2 ");
}
