// SPDX-License-Identifier: Apache-2.0
//
// The files that an injection replaces may exist nowhere else. Whatever fails, however
// long, and whenever ch-fromhost is killed: afterwards each original is there again, byte for
// byte, with mode, owner, time, attributes and all its names. With hard links and without.

#include <sys/xattr.h>
#include <set>

#include "tests/inject/host_image.hpp"
#include "tests/support/faults.hpp"
#include "tests/support/filter_calls.hpp"

#if defined(CHARLIE_HAVE_TRACER)

using test::FromHost;
using test::inject_fixture;
namespace fs = std::filesystem;

namespace {

using State = std::map<std::string, std::string>;

/// Trying every call would take minutes; set CHARLIE_THOROUGH for that.
int step(int usual) { return std::getenv("CHARLIE_THOROUGH") != nullptr ? 1 : usual; }

/// Everything of `root` that an injection could lose.
State all_of(const fs::path& root) {
  State tree;
  std::map<ino_t, std::string> first_names;
  std::set<std::string> names;  // sorted, so that the first name of a file is always the same
  for (const auto& entry : fs::recursive_directory_iterator(root))
    names.insert(entry.path().lexically_relative(root).string());
  for (const std::string& name : names) {
    const fs::path path = root / name;
    struct stat s {};
    REQUIRE(lstat(path.c_str(), &s) == 0);
    std::string& text = tree[name];
    text = std::to_string(s.st_mode) + ' ' + std::to_string(s.st_uid) + ':' +
           std::to_string(s.st_gid) + ' ';
    if (S_ISDIR(s.st_mode)) continue;
    char value[64] = {};
    const ssize_t n = lgetxattr(path.c_str(), "user.charlie", value, sizeof value);
    text += std::to_string(s.st_mtim.tv_sec) + '.' + std::to_string(s.st_mtim.tv_nsec) + ' ' +
            first_names.emplace(s.st_ino, name).first->second + ' ' +
            std::string(value, n > 0 ? static_cast<std::size_t>(n) : 0) + ' ';
    if (S_ISLNK(s.st_mode)) text += fs::read_symlink(path).string();
    if (S_ISREG(s.st_mode)) text += test::read_file(path);
  }
  return tree;
}

/// An image in which everything that an injection touches exists, each file in a different way.
struct Originals : FromHost {
  std::string program = inject_fixture("bin/charlie_ask");
  std::string library = inject_fixture("lib/libcharlie_answer.so.1.0");
  fs::path pristine = dir / "pristine";
  State before;
  std::function<void()> filter;

  explicit Originals(bool has_hard_links) {
    if (!has_hard_links) filter = [] { test::filter_calls({__NR_linkat}, EPERM); };
    options.in_child = filter;
    const fs::path own = image / "usr/bin/charlie_ask";
    test::write_file(own, "the image's own program");
    fs::create_hard_link(own, image / "usr/bin/second_name");
    (void)setxattr(own.c_str(), "user.charlie", "mine", 4, 0);
    chmod(own.c_str(), 04751);
    fs::create_symlink("elsewhere", image / "usr/local/lib/libcharlie_answer.so.1.0");
    test::write_file(image / "usr/local/lib/libcharlie_answer.so.1", "the image's own library");
    chmod((image / "usr/local/lib/libcharlie_answer.so.1").c_str(), 0440);
    test::write_file(image / "etc/ld.so.cache", std::string(20000, 'c'));
    (void)setxattr((image / "etc/ld.so.cache").c_str(), "user.charlie", "list", 4, 0);
    chmod((image / "etc/ld.so.cache").c_str(), 0600);
    fs::create_directories(image / "var/cache/ldconfig");
    test::write_file(image / "var/cache/ldconfig/aux-cache", "notes of the image");
    for (const char* name :
         {"usr/bin/charlie_ask", "etc/ld.so.cache", "usr/local/lib/libcharlie_answer.so.1"}) {
      const timespec times[2] = {{1000000000, 0}, {1234567890, 123456789}};
      utimensat(AT_FDCWD, (image / name).c_str(), times, AT_SYMLINK_NOFOLLOW);
    }
    REQUIRE(test::run({"cp", "-a", image, pristine}).status == 0);
    before = all_of(image);
  }
  void reset() const {
    fs::remove_all(image);
    REQUIRE(test::run({"cp", "-a", pristine, image}).status == 0);
  }
  [[nodiscard]] std::vector<std::string> injection() const {
    return {test::ch_fromhost(), "-p", program, "-p", library, image};
  }
  [[nodiscard]] std::vector<std::string> removal() const {
    return {test::ch_fromhost(), "--remove", image};
  }
  [[nodiscard]] test::Faulty with(const std::vector<std::string>& words, test::Fault fault) const {
    fault.in_child = filter;
    return test::run_with_fault(words, fault);
  }
  /// But for what ldconfig itself wrote into the image's list again: that is as good.
  void check_originals(const State& after, bool ldconfig_may_have_run) const {
    State wanted = before;
    State found = after;
    if (ldconfig_may_have_run)
      for (State* s : {&wanted, &found}) s->erase("etc/ld.so.cache");
    INFO(test::difference(wanted, found));
    CHECK(found == wanted);
  }
};

bool any_call(long) { return true; }
/// What a failure can come from: not what only fails where the C library is broken.
bool can_fail(long number) {
  static const std::set<long> others = {
      SYS_brk,   SYS_munmap,          SYS_mmap, SYS_mprotect, SYS_rt_sigreturn, SYS_rt_sigprocmask,
      SYS_futex, SYS_set_robust_list, SYS_rseq, SYS_madvise,  SYS_exit_group,   SYS_wait4};
  return !others.contains(number);
}
bool needs_space(long number) {
  static const std::set<long> calls = {SYS_write,  SYS_copy_file_range, SYS_sendfile,
                                       SYS_linkat, SYS_symlinkat,       SYS_mkdirat};
  return calls.contains(number);
}

}  // namespace

TEST_CASE("killed at any call, an injection leaves every original restorable", "[inject][tool]") {
  for (const bool has_links : {true, false}) {
    const Originals f(has_links);
    for (int k = 0, points = 0;; k += step(7)) {
      f.reset();
      const auto ran = f.with(f.injection(), {any_call, k, 0});
      if (!ran.hit) {
        CHECK(points > 10);
        break;
      }
      ++points;
      CAPTURE(has_links, k);
      const test::Ran next = f({"--remove"});
      CAPTURE(next.err);
      CHECK(next.status == 0);
      f.check_originals(all_of(f.image), !next.out.starts_with("nothing"));
    }
  }
}

TEST_CASE("killed at any call, a removal is completed by the next", "[inject][tool]") {
  for (const bool has_links : {true, false}) {
    const Originals f(has_links);
    for (int k = 0, points = 0;; k += step(7)) {
      f.reset();
      REQUIRE(f({"-p", f.program, "-p", f.library}).status == 0);
      const auto ran = f.with(f.removal(), {any_call, k, 0, SYS_flock});
      if (!ran.hit) {
        CHECK(points > 10);
        break;
      }
      ++points;
      CAPTURE(has_links, k);
      const test::Ran next = f({"--remove"});
      CAPTURE(next.err);
      CHECK(next.status == 0);
      f.check_originals(all_of(f.image), true);
    }
  }
}

TEST_CASE("when any call of an injection fails, every original stays", "[inject][tool]") {
  int turn = 0;
  for (const bool has_links : {true, false}) {
    const Originals f(has_links);
    for (const int error : {EIO, ENOSPC, EDQUOT, EROFS}) {
      for (int k = turn++;; k += step(13)) {
        f.reset();
        const auto ran = f.with(f.injection(), {can_fail, k, error, SYS_mkdirat, false});
        if (!ran.hit) break;
        CAPTURE(has_links, error, k, ran.status, ran.err);
        const bool done =
            ran.status == 0 || ran.err.find("can't write to standard output") != std::string::npos;
        if (done) CHECK(f({"--remove"}).status == 0);
        f.check_originals(all_of(f.image), done);
      }
    }
  }
}

TEST_CASE("a copy of an original is on disk before it is relied on", "[inject][tool]") {
  const Originals f(true);
  std::vector<std::string> order;
  test::Tracing tracing;
  tracing.at_call = [&order](const test::Call& call) {
    if (call.number == SYS_fsync) order.emplace_back("sync");
    if (call.number == SYS_renameat) order.emplace_back("rename");
    return test::Interference{};
  };
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  const test::Traced traced =
      test::trace(tracing, [&] { test::become(f.injection(), {}, null, null); });
  close(null);
  CHECK(traced.status == 0);
  // ldconfig writes to the cache and to its notes: these two are copied in any case.
  CHECK(std::count(order.begin(), order.end(), "sync") == 2);
  for (std::size_t i = 0; i < order.size(); ++i)
    if (order[i] == "sync") CHECK((i + 1 < order.size() && order[i + 1] == "rename"));
}

TEST_CASE("on a disk that is full from any call on, every original stays", "[inject][tool]") {
  for (const bool has_links : {true, false}) {
    const Originals f(has_links);
    for (int k = 0, points = 0;; k += step(2)) {
      f.reset();
      test::Fault fault{needs_space, k, ENOSPC};
      fault.lasts = true;
      const auto ran = f.with(f.injection(), fault);
      if (!ran.hit) {
        CHECK(points > 5);
        break;
      }
      ++points;
      CAPTURE(has_links, k, ran.status, ran.err);
      if (ran.status == 0 || ran.err.empty()) break;  // only the final message could not be written
      f.check_originals(all_of(f.image), false);
    }
  }
}

#endif
