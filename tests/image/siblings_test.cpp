// SPDX-License-Identifier: Apache-2.0
//
// Several ch-tar2dir of the same archive to the same place at once, as mpirun starts them: one
// works, the others wait for it; whatever happens to it, all that are left succeed.

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/image/started.hpp"
#include "tests/support/faults.hpp"
#include "tests/support/filter_calls.hpp"

namespace {

using test::ch_tar2dir;
using test::contains;
using test::content;
using test::small_tar;
using test::Started;
using Fixture = test::ToolFixture;
namespace fs = std::filesystem;

std::vector<std::string> words(const Fixture& f, std::vector<std::string> options = {}) {
  options.insert(options.begin(), ch_tar2dir());
  options.insert(options.end(), {f.archive, f.image});
  return options;
}

/// Does this process have the work record open?
bool knows_of_another(pid_t pid) {
  std::error_code ignored;
  for (const auto& fd : fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd", ignored))
    if (fs::read_symlink(fd.path(), ignored).filename() == "ch-tar2dir.work") return true;
  return false;
}

#ifdef CHARLIE_HAVE_TRACER
/// A ch-tar2dir that is about to name the image, or to make another call, and then waits to
/// be continued, or to fail.
class Held {
 public:
  Held(
      const Fixture& f, test::Interference then, const std::vector<std::string>& options = {},
      long at = SYS_renameat2, const std::function<void()>& in_child = [] {}) {
    tracing_.patience = std::chrono::minutes(2);
    tracing_.at_call = [this, then, at](const test::Call& call) {
      if (call.number != at) return test::Interference{};
      std::unique_lock lock(mutex_);
      held_ = true;
      changed_.notify_all();
      changed_.wait(lock, [this] { return free_; });
      return then;
    };
    thread_ = std::thread([this, argv = words(f, options), in_child] {
      traced_ = test::trace(tracing_, [&] {
        in_child();
        const int null = open("/dev/null", O_RDWR);
        test::become(argv, {}, null, null);
      });
    });
    std::unique_lock lock(mutex_);
    CHECK(changed_.wait_for(lock, std::chrono::minutes(1), [this] { return held_; }));
  }
  ~Held() { (void)let_go(); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

  /// Status of its end.
  int let_go() {
    {
      const std::lock_guard lock(mutex_);
      free_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
    return traced_.status;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false, free_ = false;
  test::Tracing tracing_;
  test::Traced traced_;
  std::thread thread_;
};
constexpr test::Interference goes_on{test::Act::let_go, 0, false};
constexpr test::Interference fails{test::Act::fail, EIO, false};
constexpr test::Interference dies{test::Act::kill_before, 0, false};
#endif

}  // namespace

#ifdef CHARLIE_HAVE_TRACER
TEST_CASE("others that unpack the same archive wait for the first, and succeed", "[image][tool]") {
  for (const bool replaces : {false, true}) {
    const Fixture f;
    if (replaces) REQUIRE(f.unpack().status == 0);
    Held first(f, goes_on);
    std::vector<std::unique_ptr<Started>> others;
    for (int i = 0; i < 3; ++i)
      others.push_back(std::make_unique<Started>(words(f), f.dir / std::to_string(i)));
    others.push_back(std::make_unique<Started>(words(f, {"--json"}), f.dir / "json"));
    for (int i = 0; i < 3; ++i)
      CHECK(test::in_time([&] { return contains(others[i]->out(), "waiting for another"); }));
    CHECK(test::in_time([&] { return knows_of_another(others[3]->pid()); }));
    for (const auto& other : others) CHECK_FALSE(other->has_ended());
    CHECK(first.let_go() == 0);
    struct stat made {
    }, now{};
    REQUIRE(stat(f.image.c_str(), &made) == 0);
    for (int i = 0; i < 4; ++i) {
      const test::Ran ran = others[i]->wait();
      CAPTURE(ran.out, ran.err);
      CHECK(ran.status == 0);
      CHECK(ran.err.empty());
      if (i < 3)
        CHECK(ran.out == "waiting for another ch-tar2dir, which is making " + f.image + "\n" +
                             f.image + " unpacked ok, by the other ch-tar2dir\n");
      else
        CHECK(nlohmann::json::parse(ran.out)["made_by_another"] == true);
    }
    REQUIRE(stat(f.image.c_str(), &now) == 0);
    CHECK(now.st_ino == made.st_ino);
    CHECK(content(f.image + "/usr/f") == "content");
    CHECK(f.beside() == std::vector<std::string>{"image"});
  }
}

TEST_CASE("if the first fails or is killed, one that waits takes over, and all of them succeed",
          "[image][tool]") {
  for (const auto& [then, status] : {std::pair(fails, 1), {dies, 128 + SIGKILL}})
    for (const char* how : {"--contain=always", "--contain=never"}) {
      const Fixture f;
      Held first(f, then, {how});
      std::vector<std::unique_ptr<Started>> others;
      for (int i = 0; i < 3; ++i)
        others.push_back(std::make_unique<Started>(words(f, {how}), f.dir / std::to_string(i)));
      for (const auto& other : others)
        CHECK(test::in_time([&] { return contains(other->out(), "waiting for another"); }));
      CHECK(first.let_go() == status);
      int makers = 0;
      for (const auto& other : others) {
        const test::Ran ran = other->wait();
        CAPTURE(ran.out, ran.err);
        CHECK(ran.status == 0);
        makers += contains(ran.out, "creating new image") ? 1 : 0;
      }
      CHECK(makers >= 1);
      CHECK(content(f.image + "/usr/f") == "content");
      CHECK(f.beside() == std::vector<std::string>{"image"});
    }
}

TEST_CASE("wherever the first is killed, the next one succeeds, and nothing is left",
          "[image][tool]") {
  int points = 0;
  for (const char* how : {"--contain=always", "--contain=never"})
    for (int k = 0;; k += std::getenv("CHARLIE_THOROUGH") != nullptr ? 1 : 16) {
      const Fixture f;
      test::Faulty first;
      std::atomic<bool> ended = false;
      std::thread tracing([&, argv = words(f, {"-j1", how})] {
        first = test::run_with_fault(argv, {[](long) { return true; }, k, 0});
        ended = true;
      });
      CHECK(test::in_time([&] { return ended || !f.beside().empty(); }));
      Started second(words(f, {"-j1", how}), f.dir / "second");
      tracing.join();
      const test::Ran ran = second.wait();
      CAPTURE(how, k, first.status, first.err, ran.out, ran.err);
      CHECK(ran.status == 0);
      CHECK(content(f.image + "/usr/f") == "content");
      CHECK(fs::exists(f.image + "/ch/unpacked.json"));
      CHECK(f.beside() == std::vector<std::string>{"image"});
      if (!first.hit) break;
      ++points;
    }
  CHECK(points > 10);
}

TEST_CASE("a run that cleans up after one from another archive is waited for", "[image][tool]") {
  const Fixture f;
  const fs::path left = f.dir / "at/.ch-tar2dir.image";
  fs::create_directories(left / "image/usr");
  test::write_file(left / "ch-tar2dir.work", "\n{\"work\":\"another\"}\n");
  Held first(f, goes_on, {}, SYS_unlinkat);
  Started second(words(f), f.dir / "second");
  CHECK(test::in_time(
      [&] { return contains(second.out(), "waiting for another") || second.has_ended(); }));
  CHECK(first.let_go() == 0);
  const test::Ran ran = second.wait();
  CAPTURE(ran.out, ran.err);
  CHECK(ran.status == 0);
  CHECK(contains(ran.out, "by the other ch-tar2dir"));
  CHECK(f.beside() == std::vector<std::string>{"image"});
}

TEST_CASE("during replacement an image is always either the old or the new one", "[image][tool]") {
  enum class Old { half_removed, removed, not_yet_replaced };
  for (const Old old : {Old::half_removed, Old::removed, Old::not_yet_replaced}) {
    int k = 0;
    for (bool locked = false; !locked && k < 200; ++k) {
      const Fixture f;
      REQUIRE(f.unpack({"--no-sync"}).status == 0);
      const fs::path other = f.dir / "other";
      fs::copy(f.image, other, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
      test::Tracing tracing;
      tracing.patience = std::chrono::minutes(2);
      tracing.at_call = [&, seen = 0](const test::Call& call) mutable {
        locked = call.number == SYS_mkdirat;  // from here on the others wait
        if (locked) return test::Interference{test::Act::let_go};
        if (call.number != SYS_newfstatat && call.number != SYS_openat &&
            call.number != SYS_getdents64)
          return test::Interference{};
        if (seen++ != k) return test::Interference{};
        const fs::path was = f.dir / "was";
        fs::rename(f.image, was);
        if (old != Old::not_yet_replaced) fs::rename(other, f.image);
        if (old == Old::half_removed) {
          fs::remove_all(was / "ch");
          fs::remove_all(was / "bin");
        } else if (old == Old::removed) {
          fs::remove_all(was);
        }
        return test::Interference{test::Act::let_go};
      };
      const std::string err = f.dir / "err";
      const auto ran = test::trace(tracing, [&] {
        const int null = open("/dev/null", O_RDWR);
        test::become(words(f, {"--no-sync"}), {}, null,
                     open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
      });
      CAPTURE(static_cast<int>(old), k, content(err));
      CHECK(ran.status == 0);
      CHECK(content(f.image + "/usr/f") == "content");
      CHECK(f.beside() == std::vector<std::string>{"image"});
    }
    CHECK((k > 10 && k < 200));
  }
}

TEST_CASE("a run that would make something else is refused at once", "[image][tool]") {
  const Fixture f;
  Fixture other;
  other.image = f.image;
  Held first(f, goes_on);
  const auto refused = [&](const Fixture& from, const std::vector<std::string>& options) {
    Started started(words(from, options), f.dir / "other");
    const test::Ran ran = started.wait();
    CAPTURE(ran.out, ran.err);
    CHECK(ran.status == 1);
    CHECK(contains(ran.err,
                   "another process is unpacking to this name right now, from another "
                   "archive or with other options"));
    CHECK(contains(ran.err, "remedy: wait for it to end"));
  };
  refused(other, {});  // the same bytes, but another file
  refused(f, {"--xattrs"});
  refused(f, {"--preserve"});
  CHECK(first.let_go() == 0);
  CHECK(f.beside() == std::vector<std::string>{"image"});
}

TEST_CASE("one that waits can be interrupted, and the first continues", "[image][tool]") {
  const Fixture f;
  Held first(f, goes_on);
  Started other(words(f), f.dir / "other");
  CHECK(test::in_time([&] { return contains(other.out(), "waiting for another"); }));
  kill(other.pid(), SIGTERM);
  CHECK(other.wait().status == 128 + SIGTERM);
  CHECK(first.let_go() == 0);
  CHECK(content(f.image + "/usr/f") == "content");
  CHECK(f.beside() == std::vector<std::string>{"image"});
}

TEST_CASE(
    "a run whose place is taken by one that does not see its lock reports it and does no harm",
    "[image][tool]") {
  // On some network file systems each machine has its own locks: here, they are always granted.
  const auto elsewhere = [] { test::filter_calls({SYS_flock}, 0); };
  for (const auto& [then, options] :
       std::vector<std::pair<test::Interference, std::vector<std::string>>>{
           {goes_on, {}}, {goes_on, {"--contain=never"}}, {fails, {}}}) {
    const Fixture f;
    Held first(f, then, options, SYS_syncfs);
    Held second(f, goes_on, options, SYS_syncfs, elsewhere);
    CHECK(first.let_go() == 1);
    CHECK_FALSE(fs::exists(f.image));
    CHECK(second.let_go() == 0);
    CHECK(content(f.image + "/usr/f") == "content");
    CHECK(f.beside() == std::vector<std::string>{"image"});
  }
}
#endif

TEST_CASE("without locks, one unpacks, and others are refused", "[image][tool]") {
  const auto without_locks = [] { test::filter_calls({SYS_flock}, ENOLCK); };
  test::RunOptions options;
  options.in_child = without_locks;
  const Fixture f;
  {
    test::HeldTool first(f, small_tar().bytes(), {}, without_locks);
    const test::Ran ran = f.unpack({}, options);
    CAPTURE(ran.err);
    CHECK(ran.status == 1);
    CHECK(contains(ran.err,
                   "/at/.ch-tar2dir.image: this belongs to another ch-tar2dir, which may still "
                   "be running"));
    CHECK(contains(ran.err, "remedy: if it is not, remove this directory"));
    first.let_go();
    CHECK(first.wait() == 0);
  }
  CHECK(f.unpack({}, options).status == 0);
  CHECK(content(f.image + "/usr/f") == "content");
  CHECK(f.beside() == std::vector<std::string>{"image"});
}

TEST_CASE("2, 4 and 64 of the same archive at once all succeed, and leave one image",
          "[image][tool]") {
  for (const int count : {2, 4, 64}) {
    const Fixture f;
    std::vector<std::unique_ptr<Started>> all;
    for (int i = 0; i < count; ++i)
      all.push_back(std::make_unique<Started>(words(f, {"--no-sync"}), f.dir / std::to_string(i)));
    int makers = 0;
    for (const auto& one : all) {
      const test::Ran ran = one->wait();
      CAPTURE(count, ran.out, ran.err);
      CHECK(ran.status == 0);
      makers += contains(ran.out, "by the other ch-tar2dir") ? 0 : 1;
    }
    CHECK(makers >= 1);
    CHECK(content(f.image + "/usr/f") == "content");
    CHECK(f.beside() == std::vector<std::string>{"image"});
  }
}
