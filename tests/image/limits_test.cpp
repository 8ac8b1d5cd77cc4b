// SPDX-License-Identifier: Apache-2.0
//
// ch-tar2dir with something very long, very deep, very numerous or very short: reports,
// trees, directories, and what ulimit allows.

#include <sys/xattr.h>

#include <algorithm>
#include <thread>

#include "tests/image/tool_fixture.hpp"

namespace {

using test::ch_tar2dir;
using test::contains;
using test::content;
using test::limited;
using test::Ran;
using test::run;
using test::small_tar;
using test::Tar;
using test::TempDir;
using Fixture = test::ToolFixture;
namespace fs = std::filesystem;

/// Makes `levels` directories below `top`, each in the other, and a file in the last one.
void make_deep(const fs::path& top, int levels, mode_t mode_of_last = 0755) {
  fs::create_directory(top);
  int at = open(top.c_str(), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < levels; ++i) {
    REQUIRE(mkdirat(at, "deeper-and-deeper", 0755) == 0);
    const int next = openat(at, "deeper-and-deeper", O_RDONLY | O_DIRECTORY);
    REQUIRE(next >= 0);
    close(at);
    at = next;
  }
  const int file = openat(at, "file", O_WRONLY | O_CREAT, 0644);
  REQUIRE(file >= 0);
  close(file);
  REQUIRE(fchmod(at, mode_of_last) == 0);
  close(at);
}

/// 20 000 variables that don't fit on a line, so 20 000 notes: more than a pipe holds.
std::string archive_of_many_notes() {
  Tar layer;
  layer.file("usr/f", "f");
  test::Json config = test::config_for({layer.bytes()});
  for (int i = 0; i < 20000; ++i)
    config["config"]["Env"].push_back("V" + std::to_string(i) + "=a\nb");
  return test::image_archive({{layer.bytes()}, "none", config}, test::Layout::docker_new);
}

}  // namespace

TEST_CASE("a report of any length is delivered", "[image][tool]") {
  const Fixture f;
  test::write_file(f.archive, archive_of_many_notes());
  const Ran ran =
      run({"timeout", "-s", "KILL", "60", ch_tar2dir(), "--contain=always", f.archive, f.image});
  CAPTURE(ran.err);
  CHECK(ran.status == 0);
  CHECK(contains(ran.out, "variable V19999,"));
  CHECK(content(f.image + "/usr/f") == "f");
}

TEST_CASE("an error of any length is delivered", "[image][tool]") {
  const Fixture f;
  Tar layer;
  layer.file("usr/f", "f");
  auto parts = test::image_parts({{layer.bytes()}, "none", {}}, test::Layout::docker_new);
  test::Json list = test::Json::parse(parts["manifest.json"]);
  for (int i = 0; i < 20000; ++i)
    list[0]["RepoTags"].push_back(std::string(190, 'n') + std::to_string(i) + ":1");
  parts["manifest.json"] = list.dump();
  test::write_file(f.archive, test::archive_of(parts));
  const Ran ran = run({"timeout", "-s", "KILL", "60", ch_tar2dir(), "--contain=always",
                       "--image=none:1", f.archive, f.image});
  CHECK(ran.status == 1);
  CHECK(contains(ran.err, "the archive has no image none:1; it has: example.org/app:1, nnn"));
  CHECK(contains(ran.err, "remedy: choose one"));
  CHECK(f.beside().empty());
}

TEST_CASE(
    "an image of 3000 levels is replaced with 64 descriptors, and a mode of 0 below is no obstacle",
    "[image][tool]") {
  for (const char* how : {"--contain=always", "--contain=never"}) {
    const Fixture f;
    REQUIRE(f.unpack({"--no-sync"}).status == 0);
    make_deep(f.image + "/usr/deep", 3000, 0);
    test::RunOptions options;
    options.in_child = limited(RLIMIT_NOFILE, 64);
    const Ran ran = f.unpack({"--no-sync", how, "-j2"}, options);
    CAPTURE(how, ran.err);
    CHECK(ran.status == 0);
    CHECK(f.beside() == std::vector<std::string>{"image"});
    CHECK_FALSE(fs::exists(f.image + "/usr/deep"));
  }
}

TEST_CASE("removing a tree needs few descriptors and does not follow moved directories",
          "[image][tool]") {
  const TempDir dir;
  const ch::io::Descriptor at(open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  make_deep(dir / "deep", 3000, 0);
  for (int i = 0; i < 3000; ++i)
    fs::create_directories(dir / ("deep/wide" + std::to_string(i) + "/x"));
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit few{32, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
  const auto failure = test::failure_of([&] { ch::images::remove_tree(at.get(), "deep"); });
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  if (failure) FAIL(failure->what());
  CHECK(fs::is_empty(dir.path()));

  // Another process moves the directories that are being removed next to what must stay.
  fs::create_directories(dir / "kept/inner");
  test::write_file(dir / "kept/inner/file", "kept");
  for (int round = 0; round < 40; ++round) {
    fs::create_directories(dir / "tree/a/b");
    for (int i = 0; i < 40; ++i) test::write_file(dir / ("tree/a/b/" + std::to_string(i)), "");
    std::thread mover([&] {
      for (int i = 0; i < round; ++i) std::this_thread::yield();
      (void)!renameat(at.get(), "tree/a/b", at.get(), "kept/b");
    });
    (void)test::failure_of([&] { ch::images::remove_tree(at.get(), "tree"); });
    mover.join();
    REQUIRE(content(dir / "kept/inner/file") == "kept");
    ch::images::remove_tree(at.get(), "tree");
    fs::remove_all(dir / "kept/b");
  }
}

TEST_CASE("an image archive that lacks a part is never unpacked as files", "[image][tool]") {
  Tar layer;
  layer.file("usr/f", "content");
  for (const auto kind : {test::Layout::oci, test::Layout::docker_new, test::Layout::docker_old}) {
    const auto parts = test::image_parts({{layer.bytes()}, "none", {}}, kind);
    for (const char* missing : {"oci-layout", "index.json", "manifest.json"}) {
      if (!parts.contains(missing)) continue;
      const TempDir dir;
      auto left = parts;
      left.erase(missing);
      const auto failure =
          test::failure_of([&] { test::unpack_bytes(test::archive_of(left), dir / "i"); });
      CAPTURE(static_cast<int>(kind), missing);
      if (missing == std::string("oci-layout")) {
        CHECK_FALSE(failure);
        CHECK(content(dir / "i/usr/f") == "content");
      } else {
        CHECK(failure);
        CHECK_FALSE(fs::exists(dir / "i"));
      }
      if (kind != test::Layout::oci) continue;
      for (const auto& [name, text] : left) {
        fs::create_directories((dir / ("layout/" + name)).parent_path());
        test::write_file(dir / ("layout/" + name), text);
      }
      const Ran ran =
          run({ch_tar2dir(), "--no-sync", (dir / "layout").string(), (dir / "d").string()});
      CAPTURE(ran.err);
      CHECK(ran.status == (missing == std::string("oci-layout") ? 0 : 1));
    }
  }
}
