// SPDX-License-Identifier: Apache-2.0
//
// ch-fromhost under attack: directories of the image that become links to elsewhere while
// it works, and kernels that lack a call, or whose filters refuse it. Nothing outside the
// image is ever written; what can be done without is done without, the rest is one error.

#include <sys/mman.h>
#include <sys/syscall.h>

#include <atomic>
#include <set>

#include "tests/inject/host_image.hpp"
#include "tests/support/faults.hpp"
#include "tests/support/filter_calls.hpp"

using test::contains;
using test::FromHost;
using test::inject_fixture;
using test::Ran;
namespace fs = std::filesystem;

namespace {

/// An errno, or 0 for what the kernel answers.
std::function<void()> openat2_that_answers(int answer) {
  if (answer == 0) return [] {};
  return [answer] { test::filter_calls({__NR_openat2}, static_cast<unsigned>(answer)); };
}

/// A directory of the image, and outside the same once more, behind a link that can change
/// places with it. A program that follows the link finds everything that it expects.
struct Swapped : FromHost {
  std::string program = inject_fixture("bin/charlie_ask");
  std::string library = inject_fixture("lib/libcharlie_answer.so.1.0");
  fs::path place;
  fs::path outside = dir / "outside";
  fs::path link = dir / "link";
  std::map<std::string, std::string> before;

  explicit Swapped(const std::string& name) : place(name.empty() ? image : image / name) {
    fs::create_directories(place);
    fs::copy(place, outside, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    fs::create_symlink(outside, link);
    before = test::everything(outside, true);
  }
  [[nodiscard]] static bool swap(const char* a, const char* b) {
    return syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2 /* EXCHANGE */) == 0;
  }
  void swap() const { REQUIRE(swap(place.c_str(), link.c_str())); }
  [[nodiscard]] bool is_swapped() const { return fs::is_symlink(place); }
  void check_outside() const {
    const auto after = test::everything(outside, true);
    INFO(test::difference(before, after));
    CHECK(before == after);
  }
};

}  // namespace

#if defined(CHARLIE_HAVE_TRACER)

TEST_CASE("a directory of the image that is replaced by a link at any call leads nowhere else",
          "[inject][tool]") {
  const auto looks_at_paths = [](long number) {
    static const std::set<long> calls = {
        SYS_openat,    SYS_openat2,    SYS_newfstatat, SYS_statx,      SYS_mkdirat, SYS_renameat,
        SYS_linkat,    SYS_symlinkat,  SYS_unlinkat,   SYS_readlinkat, SYS_fchmod,  SYS_utimensat,
        SYS_open_tree, SYS_move_mount, SYS_mount,      SYS_pivot_root, SYS_execve,  SYS_clone};
    return calls.contains(number);
  };
  const int step = std::getenv("CHARLIE_THOROUGH") != nullptr ? 1 : 41;
  int first = 0, swapped = 0, refused = 0;
  for (const int answer : {0, ENOSYS})
    for (const char* name : {"usr/bin", "usr/local", "usr/local/lib", "etc", "ch", "var", ""}) {
      const Swapped f(name);
      test::Fault fault{looks_at_paths};
      // Changing what the image's own name refers to means choosing another image, until
      // the image is open.
      fault.from = *name == '\0' ? SYS_mkdirat : SYS_openat;
      fault.in_programs = false;
      fault.meddle = [&f] { f.swap(); };
      fault.in_child = openat2_that_answers(answer);
      first += 5;  // so that with each another part of the calls is tried
      for (fault.at = first % step;; fault.at += step) {
        const auto ran = test::run_with_fault(
            {test::ch_fromhost(), "-p", f.program, "-p", f.library, f.image}, fault);
        CAPTURE(answer, name, fault.at, ran.status, ran.err);
        CHECK(f.is_swapped() == ran.hit);
        f.check_outside();
        CHECK((ran.status == 0 || ran.status == 1));
        if (ran.status == 1) CHECK(ran.err.find("ch-fromhost: error: ") != std::string::npos);
        if (!ran.hit) break;
        ++swapped;
        refused += ran.status;
        f.swap();
        (void)f({"--remove"});
      }
    }
  INFO(swapped << " swaps, " << refused << " refused");
  CHECK(swapped > 30);
  CHECK(refused > 0);
  CHECK(refused < swapped);
}

TEST_CASE("a file of the image is looked up once, and that very file is read", "[inject][tool]") {
  const FromHost f;
  REQUIRE(f({"-p", inject_fixture("bin/charlie_ask")}).status == 0);
  int looks = 0;
  test::Tracing tracing;
  tracing.at_call = [&looks](const test::Call& call) {
    looks += call.number == SYS_openat2 ? 1 : 0;
    return test::Interference{};
  };
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  const test::Traced traced = test::trace(tracing, [&] {
    test::become({test::ch_fromhost(), "--list", f.image}, {}, null, null);
  });
  close(null);
  CHECK(traced.status == 0);
  CHECK(looks == 2);  // for the record, and for the directory of what it names
}

#endif

TEST_CASE("directories that keep changing to links and back lead nowhere else", "[inject][tool]") {
  void* shared = mmap(nullptr, sizeof(std::atomic<long>), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(shared != MAP_FAILED);
  auto& swaps = *new (shared) std::atomic<long>(0);
  for (const int answer : {0, EPERM})
    for (const char* name : {"usr/bin", "usr/local/lib", "etc", "ch"}) {
      Swapped f(name);
      f.options.in_child = openat2_that_answers(answer);
      const long begin = swaps;
      const pid_t swapper = fork();
      if (swapper == 0) {
        for (;;)  // there may be nothing to swap for the moment
          if (Swapped::swap(f.place.c_str(), f.link.c_str())) ++swaps;
      }
      for (int i = 0; i < 5; ++i) {
        for (const Ran& ran : {f({"-p", f.program, "-p", f.library}), f({"--remove"})}) {
          CAPTURE(answer, name, i, ran.err);
          CHECK((ran.status == 0 || ran.status == 1));
          if (ran.status == 1) CHECK(contains(ran.err, "ch-fromhost: error: "));
        }
      }
      kill(swapper, SIGKILL);
      int status = 0;
      waitpid(swapper, &status, 0);
      CHECK(WIFSIGNALED(status));
      CHECK(swaps > begin);
      CAPTURE(answer, name);
      f.check_outside();
    }
  munmap(shared, sizeof(std::atomic<long>));
}

TEST_CASE("calls that an old kernel or a filter lacks are done without by ch-fromhost",
          "[inject][tool]") {
  FromHost f;
  const std::string program = inject_fixture("bin/charlie_ask");
  const std::string library = inject_fixture("lib/libcharlie_answer.so.1.0");
  const auto before = test::everything(f.image);
  const std::vector<unsigned> all = {__NR_openat2,   __NR_copy_file_range, __NR_pidfd_open,
                                     __NR_open_tree, __NR_mount_setattr,   __NR_move_mount,
                                     __NR_fsopen,    __NR_close_range};
  std::vector<std::vector<unsigned>> cases = {all};
  for (const unsigned one : all) cases.push_back({one});
  for (const unsigned answer : {static_cast<unsigned>(ENOSYS), static_cast<unsigned>(EPERM)})
    for (const auto& hidden : cases) {
      // A call that is refused but not unknown means a mount that is forbidden.
      if (answer == EPERM && hidden != std::vector<unsigned>{__NR_openat2}) continue;
      f.options.in_child = [&] { test::filter_calls(hidden, answer); };
      const Ran ran = f({"-p", program, "-p", library});
      CAPTURE(answer, hidden.front(), hidden.size(), ran.err);
      CHECK(ran.status == 0);
      const Ran again = f({"-p", program, "-p", library});
      CHECK(contains(again.out, "nothing to do"));
      f.options.in_child = {};
      CHECK(f.inside({"charlie_ask"}).out == "the answer is 42\n");
      f.options.in_child = [&] { test::filter_calls(hidden, answer); };
      CHECK(f({"--remove"}).status == 0);
      const auto after = test::everything(f.image);
      INFO(test::difference(before, after));
      CHECK(before == after);
    }
}

TEST_CASE("if no container for ldconfig can be made, there is one error and the image is unchanged",
          "[inject][tool]") {
  FromHost f;
  const auto before = test::everything(f.image);
  for (const auto& [number, answer] : {std::pair<unsigned, unsigned>{__NR_clone, EPERM},
                                       {__NR_clone, ENOSYS},
                                       {__NR_clone, ENOSPC},
                                       {__NR_pivot_root, EPERM}}) {
    f.options.in_child = [number = number, answer = answer] {
      test::filter_calls({number}, answer);
    };
    const Ran ran = f({"-p", inject_fixture("lib/libcharlie_answer.so.1.0")});
    CAPTURE(number, answer, ran.err);
    CHECK(ran.status == 1);
    CHECK(ran.out.empty());
    CHECK(ran.err.starts_with("ch-fromhost: error: "));
    CHECK(contains(ran.err, "ldconfig"));
    CHECK(contains(ran.err, "\nch-fromhost: remedy: "));
    const auto after = test::everything(f.image);
    INFO(test::difference(before, after));
    CHECK(before == after);
  }
}
