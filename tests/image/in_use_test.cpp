// SPDX-License-Identifier: Apache-2.0
//
// An image that is unpacked again while containers run in it: they continue in the old one, which
// stays, and the warning names them. The containers are real ones of ch-run.

#include <thread>

#include "ch/image/outside_users.hpp"
#include "tests/image/started.hpp"
#include "tests/support/filter_calls.hpp"

namespace {

using test::ch_tar2dir;
using test::contains;
using test::content;
using test::Ran;
using test::run;
using test::Started;
namespace fs = std::filesystem;

std::string ch_run() { return fs::canonical(test::tool("CH_RUN", CHARLIE_CH_RUN)).string(); }

struct Fixture {
  test::TempDir dir;
  std::string image = (dir / "at/image").string();
  Fixture() {
    fs::create_directory(dir / "at");
    REQUIRE(unpack(image).status == 0);
    test::write_file(image + "/etc/old", "of the old image");
  }
  static Ran unpack(const std::string& to, std::vector<std::string> options = {},
                    const test::RunOptions& in = {}) {
    options.insert(options.begin(), {ch_tar2dir(), "--no-sync"});
    options.insert(options.end(), {CHARLIE_TEST_IMAGE_TAR, to});
    return run(options, in);
  }
  /// Starts a job that waits for the end of its input, and then needs its image once more.
  [[nodiscard]] std::unique_ptr<Started> job(const std::vector<std::string>& options,
                                             const std::string& name,
                                             const std::string& from) const {
    std::vector<std::string> words = {ch_run(), "--no-home"};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {from, "--", "sh", "-c",
                               "echo ready; read x; for d in '' /mnt/0; do test -e $d/etc/old && "
                               "/bin/busybox cat $d/etc/old; done; exit 7"});
    auto started = std::make_unique<Started>(words, dir / name);
    CAPTURE(name);
    CHECK(test::in_time([&] { return contains(started->out(), "ready"); }));
    return started;
  }
  [[nodiscard]] bool went_well(Started& job) const {
    const Ran ran = job.wait();
    CAPTURE(ran.out, ran.err);
    CHECK(ran.status == 7);
    return ran.out == "ready\nof the old image";
  }
};

std::string named(const Started& job) { return std::to_string(job.pid()) + " (sh)"; }

}  // namespace

TEST_CASE("an image that a container uses is replaced, but the container keeps it",
          "[image][tool]") {
  const std::vector<std::pair<std::string, std::vector<std::string>>> kinds = {
      {"plain", {}},
      {"in memory", {"--write-fake"}},
      {"overlay", {"--overlay=" + std::string("LAYER")}},
      {"writable", {"--write"}},
      {"in a group", {"--join", "--join-ct=1", "--join-tag=charlie-test-in-use"}},
  };
  for (auto [name, options] : kinds) {
    const Fixture f;
    for (std::string& option : options)
      if (option == "--overlay=LAYER") option = "--overlay=" + (f.dir / "layer").string();
    const auto job = f.job(options, "job", f.image);
    const Ran ran = f.unpack(f.image);
    CAPTURE(name, ran.out, ran.err);
    CHECK(ran.status == 0);
    CHECK(contains(ran.err, "warning: the image that was replaced is in use by " + named(*job) +
                                "; it stays, as " + f.image + ".old\n"));
    CHECK(contains(ran.err, "remedy: remove it when they have ended\n"));
    CHECK(contains(ran.out, "unpacked ok"));
    CHECK_FALSE(fs::exists(f.image + "/etc/old"));
    CHECK(content(f.image + ".old/etc/old") == "of the old image");
    CHECK(f.went_well(*job));

    // It is no longer in use.
    const Ran again = f.unpack(f.image);
    CHECK(again.status == 0);
    CHECK_FALSE(contains(again.err, "warning"));
    CHECK_FALSE(fs::exists(f.image + ".old.2"));
  }
}

TEST_CASE("all processes of a group are named, and each replaced image gets a name of its own",
          "[image][tool]") {
  const Fixture f;
  const std::vector<std::string> group = {"--join", "--join-ct=2",
                                          "--join-tag=charlie-test-in-use-2"};
  std::unique_ptr<Started> first, second;
  std::thread other([&] { second = f.job(group, "second", f.image); });
  first = f.job(group, "first", f.image);
  other.join();
  Ran ran = f.unpack(f.image, {"--json"});
  CAPTURE(ran.out, ran.err);
  CHECK(contains(ran.err, named(*first)));
  CHECK(contains(ran.err, named(*second)));
  const auto json = nlohmann::json::parse(ran.out);
  CHECK(json["kept"] == f.image + ".old");
  CHECK(json["in_use_by"].size() == 2);
  test::write_file(f.image + "/etc/old", "of the second image");
  const auto third = f.job({}, "third", f.image);
  ran = f.unpack(f.image, {"--quiet"});
  CHECK(contains(ran.err, " " + named(*third) + "; it stays, as " + f.image + ".old.2\n"));
  CHECK(content(f.image + ".old.2/etc/old") == "of the second image");
  CHECK(f.went_well(*first));
  CHECK(f.went_well(*second));
  CHECK(third->wait().status == 7);
}

TEST_CASE("an image that is mounted in the container of another one is in use", "[image][tool]") {
  const Fixture f;
  const std::string main = (f.dir / "at/main").string();
  REQUIRE(f.unpack(main).status == 0);
  const std::string odd = (f.dir / "at/an odd \\ name").string();
  fs::rename(f.image, odd);
  const auto job = f.job({"--bind=" + odd + ":/mnt/0"}, "job", main);
  const Ran ran = f.unpack(odd);
  CAPTURE(ran.err);
  CHECK(ran.status == 0);
  CHECK(contains(ran.err, "in use by " + named(*job)));
  CHECK(content(odd + ".old/etc/old") == "of the old image");
  CHECK(f.went_well(*job));
}

TEST_CASE("a container keeps its image even if the kernel can't exchange two names",
          "[image][tool]") {
  const Fixture f;
  const auto job = f.job({}, "job", f.image);
  test::RunOptions without_exchange;
  without_exchange.in_child = [] { test::filter_calls({SYS_renameat2}, EINVAL); };
  const Ran ran = f.unpack(f.image, {}, without_exchange);
  CAPTURE(ran.err);
  CHECK(ran.status == 0);
  CHECK(contains(ran.err, "in use by " + named(*job)));
  CHECK_FALSE(fs::exists(f.image + "/etc/old"));
  CHECK(content(f.image + ".old/etc/old") == "of the old image");
  CHECK(f.went_well(*job));
}

TEST_CASE("containers of other images are no reason to keep one", "[image][tool]") {
  const Fixture f;
  const std::string main = (f.dir / "at/main").string();
  REQUIRE(f.unpack(main).status == 0);
  test::write_file(main + "/etc/old", "of the old image");
  const auto job = f.job({}, "job", main);
  const auto in_memory = f.job({"--write-fake"}, "in memory", main);
  const Ran ran = f.unpack(f.image);
  CAPTURE(ran.err);
  CHECK(ran.status == 0);
  CHECK_FALSE(contains(ran.err, "warning"));
  CHECK_FALSE(fs::exists(f.image + ".old"));
  CHECK(f.went_well(*job));
  CHECK(f.went_well(*in_memory));
}

TEST_CASE("with --subids, too, a container keeps the image that is replaced", "[image][tool]") {
  const Fixture f;
  const auto job = f.job({}, "job", f.image);
  const Ran ran = f.unpack(f.image, {"--subids"});
  CAPTURE(ran.err);
  SKIP_UNLESS(!contains(ran.err, "no subordinate ids") && !contains(ran.err, "newuidmap: "),
              "no subordinate ids here");
  CHECK(ran.status == 0);
  CHECK(contains(ran.err, "in use by " + named(*job)));
  CHECK(f.went_well(*job));
  if (geteuid() != 0)
    CHECK(run({"unshare", "--map-auto", "--map-root-user", "rm", "-rf", f.image}).status == 0);

  // One that starts while the new image is being made.
  const test::ToolFixture g;
  REQUIRE(f.unpack(g.image).status == 0);
  test::write_file(g.image + "/etc/old", "of the old image");
  test::HeldTool tool(g, test::small_tar().bytes(), {"--subids"});
  const auto late = f.job({}, "late", g.image);
  tool.let_go();
  const int status = tool.wait();
  CAPTURE(tool.err());
  CHECK(status == 0);
  CHECK(contains(tool.err(), "in use by " + named(*late)));
  CHECK(f.went_well(*late));
}

TEST_CASE("an image in use that can't be renamed stays, whatever is run next", "[image][tool]") {
  const Fixture f;
  for (int n = 1; n < 1000; ++n)
    test::write_file(f.image + ".old" + (n == 1 ? "" : "." + std::to_string(n)), "taken");
  const auto job = f.job({}, "job", f.image);
  const std::string kept = (f.dir / "at/.ch-tar2dir.image/kept").string();
  const Ran ran = f.unpack(f.image);
  CAPTURE(ran.err);
  CHECK(ran.status == 1);
  CHECK(contains(ran.err, "which is used by " + named(*job) + ", is still in " + kept));
  const Ran again = f.unpack(f.image);
  CAPTURE(again.err);
  CHECK(again.status == 1);
  CHECK(contains(again.err, kept + ": this image was in use when it was replaced"));
  CHECK(content(kept + "/etc/old") == "of the old image");
  CHECK(f.went_well(*job));
}

TEST_CASE("an image in use that a killed run has not yet kept stays", "[image][tool]") {
  const Fixture f;
  const std::string holder = (f.dir / "at/.ch-tar2dir.image").string();
  const auto job = f.job({}, "job", f.image);
  // The state between the exchange and the check for users.
  fs::create_directory(holder);
  test::write_file(holder + "/ch-tar2dir.work", "");
  fs::rename(f.image, holder + "/image");
  for (int n = 0; n < 2; ++n) {
    const Ran ran = f.unpack(f.image);
    CAPTURE(ran.err);
    CHECK(ran.status == 1);
    CHECK(contains(ran.err, holder + "/kept: this image was in use when it was replaced"));
  }
  CHECK(content(holder + "/kept/etc/old") == "of the old image");
  CHECK(f.went_well(*job));
}

TEST_CASE("nor does --subids remove an image that a killed run has not yet kept", "[image][tool]") {
  const Fixture f;
  const std::string holder = (f.dir / "at/.ch-tar2dir.image").string();
  const auto job = f.job({}, "job", f.image);
  fs::create_directory(holder);
  test::write_file(holder + "/ch-tar2dir.work", "");
  fs::rename(f.image, holder + "/image");
  const Ran ran = f.unpack(f.image, {"--subids"});
  CAPTURE(ran.err);
  SKIP_UNLESS(!contains(ran.err, "no subordinate ids") && !contains(ran.err, "newuidmap: "),
              "no subordinate ids here");
  CHECK(ran.status == 1);
  CHECK(contains(ran.err, holder + "/kept: this image was in use when it was replaced"));
  CHECK(content(holder + "/kept/etc/old") == "of the old image");
  CHECK(f.went_well(*job));
}

TEST_CASE("a hanging process that might use an image is not waited for", "[image][tool]") {
  const Fixture f;
  const ch::images::OutsideUsers outside(std::chrono::milliseconds(50));  // no process answers
  const ch::io::Descriptor image(open(f.image.c_str(), O_RDONLY | O_DIRECTORY));
  try {
    (void)outside.of(image.get());
    FAIL("it has been told");
  } catch (const ch::io::Failed& e) {
    CHECK(e.code() == ETIMEDOUT);
  }
}
