// SPDX-License-Identifier: Apache-2.0
//
// ch-fromhost on a failing machine: every system call that it makes after the
// first change fails once, or kills it (ldconfig's own count for the latter only: it can
// hang when its reads fail). The promise: after a failure the image is as it
// was; after a kill the next run first restores that, or completes what was committed.

#include "tests/inject/host_image.hpp"
#include "tests/support/faults.hpp"

#if defined(CHARLIE_HAVE_TRACER)

using test::FromHost;
using test::inject_fixture;
namespace fs = std::filesystem;

namespace {

/// Trying every call would take minutes; set CHARLIE_THOROUGH for that.
int step(int usual) { return std::getenv("CHARLIE_THOROUGH") != nullptr ? 1 : usual; }

bool matters(long number) {
  switch (number) {
    case SYS_close:  // its result is ignored
    case SYS_brk:
    case SYS_munmap:
    case SYS_mmap:
    case SYS_mprotect:
    case SYS_rt_sigreturn:
    case SYS_rt_sigprocmask:
    case SYS_futex:  // the C library aborts if these fail
    case SYS_set_robust_list:
    case SYS_rseq:
    case SYS_madvise:
    case SYS_exit_group:
    case SYS_wait4:
      return false;
    default:
      return true;
  }
}

/// Did it fail only to report success?
bool is_done(const test::Faulty& ran) {
  return ran.status == 0 || ran.err.find("can't write to standard output") != std::string::npos;
}

struct Fixture : FromHost {
  std::string program = inject_fixture("bin/charlie_ask");
  std::string library = inject_fixture("lib/libcharlie_answer.so.1.0");
  fs::path pristine = dir / "pristine";
  std::map<std::string, std::string> before, whole;
  Fixture() {
    test::write_file(image / "usr/bin/charlie_ask", "the image's own");
    fs::copy(image, pristine, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    before = test::everything(image);
    REQUIRE((*this)({"-p", program, "-p", library}).status == 0);
    whole = state();
    reset();
  }
  void reset() const {
    fs::remove_all(image);
    fs::copy(pristine, image, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  }
  /// The image, without what is clock time in the record.
  [[nodiscard]] std::map<std::string, std::string> state() const { return test::everything(image); }
  [[nodiscard]] std::vector<std::string> words() const {
    return {test::ch_fromhost(), "-p", program, "-p", library, image};
  }
};

}  // namespace

TEST_CASE("an unreadable file is one error, and not mistaken for something else",
          "[inject][tool]") {
  const Fixture f;
  int named = 0;
  for (int k = 0;; ++k) {
    f.reset();
    test::Fault fault{[](long number) { return number == SYS_pread64; }};
    fault.at = k;
    fault.error = EIO;
    fault.from = SYS_pread64;
    fault.in_programs = false;
    const test::Faulty ran = test::run_with_fault(f.words(), fault);
    if (!ran.hit) break;
    CAPTURE(k, ran.status, ran.err);
    if (ran.status == 0) {
      CHECK(f.state() == f.whole);
      continue;
    }
    CHECK(f.state() == f.before);
    if (ran.err.find("Input/output error") != std::string::npos) ++named;
  }
  CHECK(named > 4);
}

TEST_CASE("a source that is replaced after it was examined is not copied", "[inject][tool]") {
  Fixture f;
  const fs::path source = f.dir / "source", other = f.dir / "other", link = f.dir / "link";
  for (const bool by_link : {false, true}) {
    CAPTURE(by_link);
    f.reset();
    fs::remove(source);
    fs::remove(link);
    fs::copy_file(f.library, source);
    test::write_file(other, "another user's");
    fs::create_symlink(other, link);
    test::Fault fault{[](long number) { return number == SYS_mkdirat; }};
    fault.in_programs = false;
    fault.meddle = [&] { fs::rename(by_link ? link : other, source); };
    const auto ran = test::run_with_fault({test::ch_fromhost(), "-p", source, f.image}, fault);
    CAPTURE(ran.err);
    CHECK(ran.hit);
    CHECK(ran.status == 1);
    CHECK(ran.err.find(source.string() +
                       ": this is no longer the file that was looked at a moment ago") !=
          std::string::npos);
    CHECK(f.state() == f.before);
  }
}

TEST_CASE("a source that grows while it is copied is not injected", "[inject][tool]") {
  const Fixture f;
  const fs::path source = f.dir / "source";
  fs::copy_file(f.library, source);
  test::Fault fault{[](long number) { return number == SYS_copy_file_range; }};
  fault.in_programs = false;
  fault.meddle = [&] { std::ofstream(source, std::ios::app) << "more"; };
  const auto ran = test::run_with_fault({test::ch_fromhost(), "-p", source, f.image}, fault);
  CAPTURE(ran.err);
  CHECK(ran.hit);
  CHECK(ran.status == 1);
  CHECK(ran.err.find("the source file was changed while it was copied") != std::string::npos);
  CHECK(f.state() == f.before);
}

TEST_CASE("when a file that was written can't be closed, the image is as it was",
          "[inject][tool]") {
  const Fixture f;
  for (const int error : {EIO, ENOSPC, EDQUOT}) {
    int points = 0;
    bool written = false;  // since the last close
    for (int k = 0;; ++k) {
      f.reset();
      written = false;
      test::Fault fault{[&written](long number) {
                          if (number == SYS_fchmod) written = true;  // the last but its time
                          return number == SYS_close && std::exchange(written, false);
                        },
                        k, error, SYS_mkdirat, false};
      fault.own = true;
      const auto ran = test::run_with_fault(f.words(), fault);
      if (!ran.hit) break;
      ++points;
      CAPTURE(error, k, ran.status, ran.err);
      CHECK(ran.status == 1);
      const auto after = f.state();
      INFO(test::difference(f.before, after));
      CHECK(after == f.before);
    }
    CHECK(points > 3);  // two copies, the journal twice, the record
  }
}

TEST_CASE("when the k-th call of an injection fails, the image is as it was", "[inject][tool]") {
  const Fixture f;
  for (const int error : {EIO, ENOSPC}) {
    int points = 0, survived = 0;
    for (int k = 0;; k += step(3)) {
      f.reset();
      const auto ran = test::run_with_fault(f.words(), {matters, k, error, SYS_mkdirat, false});
      if (!ran.hit) break;
      ++points;
      const auto after = f.state();
      CAPTURE(error, k, ran.status, ran.err);
      if (is_done(ran)) {  // a call that only helps, has a fallback, or cleans up
        ++survived;
        (void)f({"-p", f.program, "-p", f.library});
        const auto completed = f.state();
        INFO(test::difference(f.whole, completed));
        CHECK(completed == f.whole);
      } else {
        INFO(test::difference(f.before, after));
        CHECK(ran.status == 1);
        CHECK(ran.err.find("ch-fromhost: error: ") != std::string::npos);
        CHECK(after == f.before);
      }
    }
    INFO(points << " points, " << survived << " without effect");
    CHECK(points > 15);
    // Many are of the process that waits to run ldconfig, which closes what it has no use for.
    CHECK(survived < points * 2 / 3);
  }
}

TEST_CASE("killed at any call, an injection is undone or completed by the next run",
          "[inject][tool]") {
  const Fixture f;
  int points = 0, undone = 0;
  for (int k = 0;; k += step(3)) {
    f.reset();
    const auto ran = test::run_with_fault(f.words(), {[](long) { return true; }, k, 0});
    if (!ran.hit) break;
    ++points;
    CAPTURE(k, ran.status);
    // A removal recovers first; then there is nothing, or all of it, to be removed.
    const test::Ran next = f({"--remove"});
    CHECK(next.status == 0);
    undone += next.out.starts_with("nothing") ? 1 : 0;
    auto after = f.state();
    if (!f.before.contains("ch")) after.erase("ch");  // killed between its mkdir and the journal
    INFO(test::difference(f.before, after));
    CHECK(after == f.before);
    CHECK(f({"-p", f.program, "-p", f.library}).status == 0);
    const auto again = f.state();
    INFO(test::difference(f.whole, again));
    if (again.at("ch/injected.json") == f.whole.at("ch/injected.json")) CHECK(again == f.whole);
    CHECK(f.inside({"charlie_ask"}).out == "the answer is 42\n");
  }
  INFO(points << " points, " << undone << " undone");
  CHECK(points > 25);
  CHECK(undone > 10);
}

TEST_CASE("a second run that can't open something changes nothing, or fails", "[inject][tool]") {
  const Fixture f;
  REQUIRE(f({"-p", f.program, "-p", f.library}).status == 0);
  const auto injected = test::everything(f.image, true);
  int points = 0;
  for (int k = 0;; ++k) {
    test::Fault fault{[](long number) { return number == SYS_openat; }, k, EACCES, SYS_flock};
    const auto ran = test::run_with_fault(f.words(), fault);
    if (!ran.hit) break;
    ++points;
    CAPTURE(k, ran.status, ran.err);
    CHECK((ran.status == 0 || ran.status == 1));
    const auto after = test::everything(f.image, true);
    INFO(test::difference(injected, after));
    CHECK(after == injected);
  }
  CHECK(points > 3);
}

TEST_CASE("when the k-th call of a removal fails, everything is still injected", "[inject][tool]") {
  const Fixture f;
  for (int k = 1, points = 0;; k += step(5)) {  // a file system without flock is fine
    f.reset();
    REQUIRE(f({"-p", f.program, "-p", f.library}).status == 0);
    const auto injected = f.state();
    const auto ran = test::run_with_fault({test::ch_fromhost(), "--remove", f.image},
                                          {matters, k, EIO, SYS_flock, false});
    if (!ran.hit) {
      CHECK(points > 10);
      break;
    }
    ++points;
    CAPTURE(k, ran.status, ran.err);
    if (is_done(ran)) (void)f({"--remove"});
    auto after = f.state();
    // An empty directory that could not be removed at the very end does no harm.
    for (const char* own : {"ch", "ch/injected.d"})
      if (is_done(ran) && !f.before.contains(own)) after.erase(own);
    const auto& wanted = is_done(ran) ? f.before : injected;
    INFO(test::difference(wanted, after));
    CHECK(after == wanted);
  }
}

#endif
