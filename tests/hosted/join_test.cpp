// SPDX-License-Identifier: Apache-2.0
//
// Boxes in namespaces that exist already: those of a process, and those that files stand for.

#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "ch/run.hpp"
#include "tests/support/files.hpp"

using namespace ch;
namespace fs = std::filesystem;

namespace {

/// A container that lives as long as this does.
struct Fixture {
  test::TempDir dir;
  std::string image_path = dir / "image";
  std::optional<Child> keeper;
  fs::path ns;

  Fixture() {
    test::make_image(image_path);
    auto child = spawn(compose(image(image_path), devices, file("kept", "/etc/who"), also<ns::uts>),
                       {"cat"}, {.in = Stream::pipe()});
    REQUIRE(child);
    keeper.emplace(std::move(*child));
    ns = "/proc/" + std::to_string(keeper->pid()) + "/ns";
  }
  [[nodiscard]] auto joined() const {
    return compose(attach<ns::user, ns::mount, ns::uts>(ns / "user", ns / "mnt", ns / "uts"));
  }
};

int open_files() {
  return static_cast<int>(std::distance(fs::directory_iterator("/proc/self/fd"), {}));
}

}  // namespace

TEST_CASE_METHOD(Fixture, "namespaces are joined by their files", "[userns]") {
  const auto got = capture(joined(), {"sh", "-c", "cat /etc/who; readlink /proc/self/ns/uts"});
  REQUIRE(got);
  CHECK(got->out == "kept" + fs::read_symlink(ns / "uts").string() + "\n");
  // Attaching by number takes the same ones.
  const auto by_number = capture(compose(attach(keeper->pid())), {"cat", "/etc/who"});
  REQUIRE(by_number);
  CHECK(by_number->out == "kept");
}

TEST_CASE_METHOD(Fixture, "files of namespaces are held while their box lives, by copies too",
                 "[userns]") {
  const int before = open_files();
  {
    auto copy = std::optional(joined());
    const auto box = *copy;
    copy.reset();
    CHECK(open_files() == before + 3);
    // A process that has ended leaves its namespaces to who holds their files.
    REQUIRE(keeper->kill(SIGKILL));
    REQUIRE(keeper->wait());
    const auto got = capture(box, {"cat", "/etc/who"});
    REQUIRE(got);
    CHECK(got->out == "kept");
    const auto listed = capture(box, {"sh", "-c",
                                      "for n in 3 4 5 6 7 8 9; do "
                                      "(eval \": <&$n\") 2> /dev/null && echo $n; "
                                      "done; true"});
    REQUIRE(listed);
    CHECK(listed->out.empty());
  }
  CHECK(open_files() == before - 1);  // without the pidfd of the one that has ended
}

TEST_CASE_METHOD(Fixture, "a box that was moved from still joins", "[userns]") {
  auto box = joined();
  const auto moved = std::move(box);
  CHECK(capture(box, {"cat", "/etc/who"})->out == "kept");  // NOLINT: its point
  CHECK(capture(moved, {"cat", "/etc/who"})->out == "kept");
}

TEST_CASE_METHOD(Fixture, "a function is called where files lead, and finds them closed",
                 "[userns]") {
  const auto found = call(joined(), [] { return open_files(); });
  REQUIRE(found);
  const auto by_number = call(compose(attach(keeper->pid())), [] { return open_files(); });
  REQUIRE(by_number);
  CHECK(*found == *by_number);
}

TEST_CASE_METHOD(Fixture, "what is no namespace of that kind is refused, and named", "[userns]") {
  const auto failure = [](const auto& box) {
    const auto end = run(box, {"true"});
    REQUIRE_FALSE(end);
    CHECK(end.error().exit_status() == 31);
    CHECK_FALSE(end.error().text().empty());
    return end.error();
  };
  const Failure missing = failure(compose(attach<ns::user, ns::mount>(ns / "user", "/nowhere")));
  CHECK(missing.path == "/nowhere");
  CHECK(missing.code == Errno::enoent);
  const Failure swapped = failure(compose(attach<ns::user, ns::mount>(ns / "mnt", ns / "user")));
  CHECK(swapped.path == (ns / "mnt").string());
  CHECK(swapped.code == Errno::einval);
  CHECK_FALSE(swapped.remedy.empty());
  CHECK(failure(compose(attach<ns::uts>(image_path))).path == image_path);
  CHECK(failure(compose(attach<ns::user>(std::string("/proc\0/x", 8)))).code == Errno::einval);
}
