// SPDX-License-Identifier: Apache-2.0
//
// ch::unpack and ch::inspect, as a program that includes ch/image.hpp uses them.

#include "ch/image.hpp"

#include <clocale>
#include <csignal>

#include "ch/run.hpp"
#include "tests/image/image_archives.hpp"
#include "tests/image/tool_fixture.hpp"

namespace {

using namespace std::chrono_literals;
using test::contains;
using test::content;
namespace fs = std::filesystem;

}  // namespace

TEST_CASE("one call makes an image, with a report and progress events", "[image][userns]") {
  const test::TempDir dir;
  test::write_file(dir / "a.tar", test::small_tar().bytes());
  std::string told;
  ch::UnpackOptions options;
  options.containment = ch::Containment::required;
  options.events.on_begin = [&](ch::Makes makes) {
    told += makes == ch::Makes::replacement ? "replaces " : "makes ";
  };
  options.events.on_progress = [&](std::uint64_t, std::uint64_t total) {
    CHECK(total == fs::file_size(dir / "a.tar"));
  };
  options.events.on_end = [&] { told += "ends "; };
  const auto made = ch::unpack(dir / "a.tar", dir / "image", options);
  REQUIRE(made);
  CHECK(made->format == "tar");
  CHECK(made->files == 2);
  CHECK(content(dir / "image/usr/f") == "content");
  REQUIRE(ch::unpack(dir / "a.tar", dir / "image", options));
  CHECK(told == "makes ends replaces ends ");
  CHECK(std::distance(fs::directory_iterator(dir.path()), {}) == 2);
}

TEST_CASE("a failure to unpack is a value that names archive, member, cause and remedy",
          "[image][userns]") {
  const test::TempDir dir;
  const auto absent = ch::unpack(dir / "absent.tar", dir / "image");
  REQUIRE_FALSE(absent);
  CHECK(absent.error().code == ch::Errno::enoent);
  CHECK(absent.error().path == (dir / "absent.tar").string());
  CHECK_FALSE(absent.error().remedy.empty());
  CHECK(contains(absent.error().text(), "can't unpack " + (dir / "absent.tar").string()));
  test::write_file(dir / "a.tar", test::small_tar().file("../out", "x").bytes());
  const auto hostile = ch::unpack(dir / "a.tar", dir / "image");
  REQUIRE_FALSE(hostile);
  CHECK(contains(hostile.error().cause, "../out"));
  std::atomic<bool> stop{true};
  ch::UnpackOptions options;
  options.stop = &stop;
  test::write_file(dir / "b.tar", test::small_tar().bytes());
  const auto stopped = ch::unpack(dir / "b.tar", dir / "image", options);
  REQUIRE_FALSE(stopped);
  CHECK(contains(stopped.error().cause, "interrupted"));
  CHECK_FALSE(fs::exists(dir / "image"));
  CHECK(std::distance(fs::directory_iterator(dir.path()), {}) == 2);
}

TEST_CASE("an archive is inspected member by member, layer by layer, and nothing is written",
          "[image][userns]") {
  const test::TempDir dir;
  test::Tar upper;
  upper.file("usr/.wh.f", "").file("usr/new", "22");
  test::write_file(dir / "a.tar",
                   test::image_archive({{test::small_tar().bytes(), upper.bytes()}, "gzip", {}},
                                       test::Layout::docker_new));
  std::vector<std::string> told;
  std::uint64_t bytes = 0;
  const auto found = ch::inspect(dir / "a.tar", {}, [&](const ch::Member& m) {
    told.push_back((m.kind == ch::MemberKind::whiteout ? "-" : "") + m.path);
    bytes += m.size;
  });
  REQUIRE(found);
  CHECK(found->format == "docker archive");
  CHECK(found->layers == 2);
  CHECK(found->whiteouts == 1);
  CHECK(found->content_bytes == bytes);
  const auto at = [&](const std::string& path) {
    return std::find(told.begin(), told.end(), path) - told.begin();
  };
  CHECK(at("usr/f") < at("-usr/f"));
  CHECK(at("-usr/f") < at("usr/new"));
  CHECK(at("usr/new") < std::ssize(told));
  REQUIRE(ch::inspect(dir / "a.tar"));
  CHECK(std::distance(fs::directory_iterator(dir.path()), {}) == 1);
}

TEST_CASE("an archive that can't be inspected is a value that says why", "[image][userns]") {
  const test::TempDir dir;
  std::string tar = test::small_tar().bytes();
  test::write_file(dir / "cut.tar", tar.substr(0, tar.size() / 2));
  const auto cut = ch::inspect(dir / "cut.tar");
  REQUIRE_FALSE(cut);
  CHECK(cut.error().path == (dir / "cut.tar").string());
  CHECK(contains(cut.error().text(), "can't inspect " + (dir / "cut.tar").string() + "\ncause: "));
  CHECK_FALSE(contains(cut.error().cause, dir / "cut.tar"));
  const auto unnamed = ch::inspect("");
  REQUIRE_FALSE(unnamed);
  CHECK(unnamed.error().cause.starts_with("can't open"));
  ch::UnpackOptions options;
  options.image_name = "one:1";
  test::write_file(dir / "a.tar", tar);
  const auto choice = ch::inspect(dir / "a.tar", options);
  REQUIRE_FALSE(choice);
  CHECK(choice.error().kind == ch::Remedy::leave_out_choice);
  options = {};
  options.max_files = 2;
  const auto many = ch::inspect(dir / "a.tar", options);
  REQUIRE_FALSE(many);
  CHECK(many.error().kind == ch::Remedy::allow_more_files);
}

TEST_CASE("a fault found by inspecting names its member; those before it have been shown",
          "[image][userns]") {
  const test::TempDir dir;
  test::write_file(dir / "a.tar", test::small_tar().file("../out", "x").bytes());
  std::vector<std::string> told;
  const auto hostile =
      ch::inspect(dir / "a.tar", {}, [&](const ch::Member& m) { told.push_back(m.path); });
  REQUIRE_FALSE(hostile);
  CHECK(contains(hostile.error().cause, "member ../out: "));
  CHECK(told == std::vector<std::string>{"bin", "bin/sh", "dev", "usr", "usr/f"});
}

TEST_CASE("a function that is shown members has its caller's locale", "[image][userns]") {
  const test::TempDir dir;
  test::write_file(dir / "a.tar", test::small_tar().bytes());
  const locale_t before = uselocale(locale_t{});
  int members = 0;
  REQUIRE(ch::inspect(dir / "a.tar", {}, [&](const ch::Member&) {
    ++members;
    CHECK(uselocale(locale_t{}) == before);
  }));
  CHECK(members == 5);
}

TEST_CASE("a call that waits for a FIFO is interrupted", "[image][userns]") {
  const test::TempDir dir;
  REQUIRE(mkfifo((dir / "fifo").c_str(), 0600) == 0);
  static std::atomic<bool> stop;
  stop = false;
  struct sigaction action {
  }, former{};
  action.sa_handler = [](int) { stop = true; };  // without SA_RESTART
  REQUIRE(sigaction(SIGALRM, &action, &former) == 0);
  ch::UnpackOptions options;
  options.stop = &stop;
  alarm(1);
  const auto stopped = ch::inspect(dir / "fifo", options);
  sigaction(SIGALRM, &former, nullptr);
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().code == ch::Errno::eintr);
  CHECK(stopped.error().cause == "interrupted");
}

TEST_CASE("what the function of inspect throws ends the call, as its failure", "[image][pure]") {
  const test::TempDir dir;
  test::Tar tar;
  tar.dir("bin/").dir("dev/").file("bin/a", "x").file("bin/b", "x");
  test::write_file(dir / "a.tar", tar.bytes());
  int seen = 0;
  const auto ended = ch::inspect(dir / "a.tar", {}, [&](const ch::Member&) {
    if (++seen == 2) throw std::runtime_error("enough of this");
  });
  REQUIRE_FALSE(ended);
  CHECK(ended.error().cause == "enough of this");
  CHECK(seen == 2);
}

TEST_CASE("owners are kept without any change to the calling process", "[image][userns]") {
  SKIP_UNLESS(!ch::subordinate_ids().problem() &&
                  (geteuid() == 0 || access("/usr/bin/newuidmap", X_OK) == 0),
              "no subordinate ids are configured for this user");
  const test::TempDir dir;
  test::Tar tar;
  tar.dir("bin/").dir("dev/").dir("usr/").pax({{"uid", "5"}, {"gid", "7"}}).file("usr/f", "x");
  test::write_file(dir / "a.tar", tar.bytes());
  ch::UnpackOptions options;
  options.owners = ch::Owners::of_archive;
  options.containment = ch::Containment::required;
  const auto before = fs::read_symlink("/proc/self/ns/user");
  const auto made = ch::unpack(dir / "a.tar", dir / "image", options);
  if (!made) FAIL(made.error().text());
  CHECK(made->files == 1);
  CHECK(fs::read_symlink("/proc/self/ns/user") == before);
  struct stat s {};
  REQUIRE(lstat((dir / "image/usr/f").c_str(), &s) == 0);
  const auto ids = ch::subordinate_ids();
  const auto users = ids.policy().users;
  CHECK(s.st_uid == (geteuid() == 0 ? 5 : static_cast<unsigned>(users[1].outside) + 4));

  // A stop reaches it although it is another process that works.
  std::atomic<bool> stop{false};
  options.stop = &stop;
  options.containment = ch::Containment::none;
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  const std::string fifo = "/proc/self/fd/" + std::to_string(ends[0]);
  static std::atomic<bool>* stopping = &stop;
  std::signal(SIGALRM, [](int) { *stopping = true; });
  alarm(1);
  const auto stopped = ch::unpack(fifo, dir / "other", options);
  REQUIRE_FALSE(stopped);
  CHECK(contains(stopped.error().cause, "interrupted"));
  CHECK_FALSE(fs::exists(dir / "other"));
  std::signal(SIGALRM, SIG_DFL);
  close(ends[0]);
  close(ends[1]);
  const auto removed = ch::run(ch::compose(ch::NamespaceSet<ch::ns::user>{}, ch::subordinate_ids()),
                               {"rm", "-rf", (dir / "image").string()});
  CHECK(removed->code == 0);
}
