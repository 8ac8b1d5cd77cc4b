// SPDX-License-Identifier: Apache-2.0
//
// ch-run under ill will: killed at each of its system calls, each of them failing, calls
// hidden as on old kernels, a thousand launches in a row and two hundred at once. Whatever
// happens, the command runs in the right container or not at all, and nothing is left.

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <new>
#include <set>

#include "tests/support/ch_run.hpp"
#include "tests/support/filter_calls.hpp"
#include "tests/support/tracer.hpp"

namespace {

using test::contains;
using test::filter_calls;
using test::Ran;
using test::run;

/// The usual fixture, with a mark that every process of a test inherits.
struct Fixture : test::ChRun {
  Fixture() { options.environment.push_back("CHARLIE_TEST=" + dir.path().string()); }
};

/// All that a launch could leave behind, as text to compare.
struct Traces {
  std::string mounts = test::read_file("/proc/self/mountinfo");
  std::multiset<std::string> files;
  std::string system_v =
      test::read_file("/proc/sysvipc/shm") + test::read_file("/proc/sysvipc/sem");
  int processes = 0;

  explicit Traces(const Fixture& f) {
    for (const char* place : {"/tmp", "/dev/shm", "/var/tmp", "/run"}) {
      std::error_code ignored;
      for (const auto& e : test::fs::directory_iterator(place, ignored)) {
        const auto name = e.path().filename().string();
        // Other programs come and go; ours would be named for it, or for nothing in particular.
        if (contains(name, "ch-run")) files.insert(e.path());
      }
    }
    for (const auto& e : test::fs::recursive_directory_iterator(f.dir.path()))
      if (!contains(e.path(), "traced.")) files.insert(e.path());
    // Other tests run at the same time: ours are those with our mark in their environment.
    for (const auto& e : test::fs::directory_iterator("/proc"))
      if (contains(test::read_file(e.path() / "environ"), mark(f))) ++processes;
  }
  static std::string mark(const Fixture& f) { return "CHARLIE_TEST=" + f.dir.path().string(); }
  bool operator==(const Traces&) const = default;
};

/// A command that says "right" only in the container that was asked for: the image is the
/// root and read-only, the ids are mapped, and the host's files are out of reach.
std::vector<std::string> careful_launch(const Fixture& f) {
  return {test::ch_run_path(),
          "-b",
          f.home + ":/mnt/1:ro",
          f.image,
          "--",
          "/bin/sh",
          "-c",
          "test -e /bin/busybox && test ! -e /usr/lib && test ! -e /boot && "
          "grep -q ' / ro,' /proc/self/mountinfo && ! touch /mnt/1/x 2>/dev/null && "
          "grep -q '^NoNewPrivs:.1' /proc/self/status && "
          "test $(grep -c . /proc/self/uid_map) = 1 && "
          "test $(cat /proc/self/setgroups) = deny && test $(ls /proc/self/fd | wc -l) -le 4 && "
          "echo right"};
}

}  // namespace

#ifdef CHARLIE_HAVE_TRACER

TEST_CASE("killed at any of its system calls, ch-run leaves nothing behind", "[tool]") {
  STATIC_TOOLS_ONLY();
  const Fixture f;
  const auto argv = careful_launch(f);
  const auto healthy = test::trace_tool(argv, f.options.environment);
  REQUIRE(healthy.out == "right\n");
  CHECK(healthy.calls.size() <= 80);
  const Traces before(f);
  for (std::size_t call = 0; call < healthy.calls.size(); ++call) {
    const auto killed =
        test::trace_tool(argv, f.options.environment, call, {test::Act::kill_before, 0});
    INFO("call " << call);
    REQUIRE(killed.hit);
    CHECK(killed.status == 128 + SIGKILL);
    CHECK(killed.out.empty());
  }
  CHECK(Traces(f) == before);
}

TEST_CASE("whichever system call fails, the command runs correctly or not at all", "[tool]") {
  STATIC_TOOLS_ONLY();
  const Fixture f;
  const auto argv = careful_launch(f);
  const auto healthy = test::trace_tool(argv, f.options.environment);
  REQUIRE(healthy.out == "right\n");
  const Traces before(f);
  int refused = 0;
  int survived = 0;
  for (std::size_t call = 0; call < healthy.calls.size(); ++call) {
    for (const int error : {EPERM, ENOENT, ENOMEM, ENOSYS, EMFILE}) {
      const auto t = test::trace_tool(argv, f.options.environment, call, {test::Act::fail, error});
      INFO("call " << call << ", number " << t.calls.at(call).number << ", errno " << error << ": "
                   << t.err);
      if (t.out == "right\n") {
        ++survived;
        CHECK(t.status == 0);
        continue;
      }
      ++refused;
      CHECK(t.out.empty());
      CHECK((t.status == 31 || t.status == 49));
      CHECK(t.err.rfind("ch-run: error: ", 0) == 0);
    }
  }
  CHECK(refused > survived);
  CHECK(survived > 0);
  CHECK(Traces(f) == before);
}

#endif

TEST_CASE("killed at any moment, a ch-run that supervises takes its container along", "[tool]") {
  const Fixture f;
  std::vector<char*> words;
  std::vector<char*> variables;
  const std::vector<std::string> argv = {
      test::ch_run_path(), "--namespaces=pid", "--no-home", f.image, "--", "sleep", "60"};
  for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  for (const auto& v : f.options.environment) variables.push_back(const_cast<char*>(v.c_str()));
  words.push_back(nullptr);
  variables.push_back(nullptr);
  const Traces before(f);
  for (int microseconds = 0; microseconds < 2500; microseconds += 5) {
    const pid_t pid = fork();
    if (pid == 0) {
      execve(words[0], words.data(), variables.data());
      _exit(127);
    }
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(microseconds);
    while (std::chrono::steady_clock::now() < until) continue;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  for (int wait = 0; wait < 100 && Traces(f).processes != before.processes; ++wait) usleep(20'000);
  CHECK(Traces(f) == before);
}

TEST_CASE("calls that an old kernel or a filter lacks are done without", "[tool]") {
  Fixture f;
  const auto argv = careful_launch(f);
  const std::vector<unsigned> all = {__NR_openat2,   __NR_close_range, __NR_mount_setattr,
                                     __NR_open_tree, __NR_move_mount,  __NR_fsopen,
                                     __NR_fsconfig,  __NR_fsmount};
  std::vector<std::vector<unsigned>> cases;
  for (const unsigned one : all) cases.push_back({one});
  cases.push_back(all);
  for (const auto& hidden : cases) {
    INFO(hidden.front() << " of " << hidden.size());
    f.options.in_child = [&] { filter_calls(hidden, ENOSYS); };
    const Ran ran = run(argv, f.options);
    INFO(ran.err);
    CHECK(ran.out == "right\n");
  }
  f.options.in_child = [] { filter_calls({__NR_openat2}, EPERM); };
  CHECK(run(argv, f.options).out == "right\n");
}

TEST_CASE("if clone3 is refused, everything that starts a process does without it", "[tool]") {
  Fixture f;
  for (const unsigned answer : {static_cast<unsigned>(ENOSYS), static_cast<unsigned>(EPERM)}) {
    INFO(answer);
    f.options.in_child = [answer] { filter_calls({__NR_clone3}, answer); };
    const Ran supervised =
        f.script("echo $$", {"--namespaces=pid,net,ipc,uts"});  // init and the program
    INFO(supervised.err);
    CHECK(supervised.out == "2\n");
    const Ran check = f.ch_run({"--check"});
    INFO(check.out);
    CHECK(check.status == 0);
    CHECK(contains(check.out, "  yes  user namespaces"));
    CHECK(contains(check.out, "  yes  pid namespaces"));
    const std::string nobody = "123456789";  // has no account, so getent is asked
    CHECK(f.script("id -u", {"--uid=" + nobody}).out == nobody + "\n");
  }
}

TEST_CASE("root inside can't reach the host through the container's init", "[tool]") {
  STATIC_TOOLS_ONLY();
  Fixture f;
  f.options.environment.push_back("SECRET_OF_THE_HOST=1");
  // Process 1 is ours and still lives; each look must fail, or find only what all may see.
  const Ran ran = f.script(
      "test \"$(cat /proc/1/comm)\" = ch-run || echo not-ours; "
      "for link in root cwd exe ns/user ns/mnt fd/0 fd/1 fd/2 fd/3 fd/4 fd/5 fd/6 fd/7 fd/8 fd/9; "
      "do readlink /proc/1/$link && echo link $link; done; "
      "cat /proc/1/map_files/* 2>/dev/null; "
      "for file in environ maps mem smaps auxv io; do "
      "  dd if=/proc/1/$file bs=64 count=1 of=/dev/null 2>/dev/null && echo file $file; done; "
      "ls -d /proc/1/root/. /proc/1/cwd/. 2>/dev/null; "
      "grep -q . /proc/self/environ && echo dumpable",
      {"--namespaces=pid", "-u0", "-g0"});
  INFO(ran.err);
  CHECK(ran.out == "dumpable\n");
  CHECK(ran.status == 0);
}

TEST_CASE("a filter against namespaces is named as the cause", "[tool]") {
  Fixture f;
  for (const unsigned answer : {static_cast<unsigned>(EPERM), static_cast<unsigned>(ENOSYS)}) {
    f.options.in_child = [answer] { filter_calls({__NR_unshare}, answer); };
    const Ran ran = f.script("true");
    CHECK(ran.status == 31);
    CHECK(contains(ran.err, "cause: a seccomp filter, probably of an outer container"));
  }
}

TEST_CASE("lack of resources is an error, not half a container", "[tool]") {
  STATIC_TOOLS_ONLY();
  Fixture f;
  const auto argv = careful_launch(f);
  int right = 0;
  for (rlim_t limit = 3; limit < 60; limit += 3) {
    f.options.in_child = [limit] {
      const rlimit few{limit, limit};
      setrlimit(RLIMIT_NOFILE, &few);
    };
    const Ran ran = run(argv, f.options);
    INFO(limit << ": " << ran.err);
    right += ran.out == "right\n" ? 1 : 0;
    if (ran.out != "right\n") {
      CHECK(ran.out.empty());
      CHECK(ran.status == 31);
      CHECK(contains(ran.err, "EMFILE"));
    }
  }
  CHECK(right > 0);
  f.options.in_child = [] {
    const rlimit none{0, 0};
    setrlimit(RLIMIT_FSIZE, &none);
    signal(SIGXFSZ, SIG_IGN);
  };
  const Ran no_files = run(argv, f.options);
  // Output goes to a pipe, which has no size.
  CHECK((no_files.out.empty() || no_files.out == "right\n"));
  CHECK(no_files.status == (no_files.out.empty() ? 31 : 0));
}

TEST_CASE("a thousand launches in a row leave nothing", "[tool]") {
  const Fixture f;
  const Traces before(f);
  for (int i = 0; i < 1000; ++i) {
    if (i % 10 == 9) {
      REQUIRE(f.ch_run({"-b", "/nowhere", f.image, "--", "true"}).status == 31);
    } else {
      REQUIRE(f.ch_run({f.image, "--", "true"}).status == 0);
    }
  }
  CHECK(Traces(f) == before);
}

TEST_CASE("two hundred launches at once leave nothing", "[tool]") {
  const Fixture f;
  const Traces before(f);
  std::vector<pid_t> children;
  const std::string ch_run = test::ch_run_path();
  for (int i = 0; i < 200; ++i) {
    const pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
      setenv("CHARLIE_TEST", f.dir.path().c_str(), 1);
      execl(ch_run.c_str(), "ch-run", "--no-home", f.image.c_str(), "--", "sh", "-c",
            "sleep 0.1; exit 3", nullptr);
      _exit(127);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    CHECK(WEXITSTATUS(status) == 3);
  }
  CHECK(Traces(f) == before);
}

TEST_CASE("a mount point that changes to a link during launches leads nowhere else", "[tool]") {
  const Fixture f;
  // A place of the host's that the container doesn't have of it, and that the image has too.
  char outside[] = "/var/tmp/charlie-swap.XXXXXX";
  REQUIRE(mkdtemp(outside) != nullptr);
  const std::string image_outside = f.image + outside;
  test::fs::create_directory(f.image + "/spot");
  test::fs::create_directories(image_outside);
  test::fs::create_symlink(outside, f.image + "/link");
  const test::fs::path bound = f.dir / "bound-here";
  test::fs::create_directory(bound);
  test::write_file(bound / "mark", "x");

  void* shared = mmap(nullptr, sizeof(std::atomic<long>), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(shared != MAP_FAILED);
  auto& exchanges = *new (shared) std::atomic<long>(0);
  const pid_t swapper = fork();
  if (swapper == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const std::string a = f.image + "/spot";
    const std::string b = f.image + "/link";
    for (;;)
      if (syscall(SYS_renameat2, AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0)
        ++exchanges;
  }
  const std::string mounts = test::read_file("/proc/self/mountinfo");
  int at_directory = 0, at_target = 0, disturbed = 0;
  for (int i = 0; i < 300; ++i) {
    const long before = exchanges;
    // Where the kernel says that it is, as names change between two looks.
    const Ran ran = f.script("grep '/bound-here /' /proc/self/mountinfo | cut -d ' ' -f 5",
                             {"-b", bound.string() + ":/spot"});
    disturbed += exchanges > before ? 1 : 0;
    INFO(ran.err << ran.out);
    if (ran.status == 31) continue;  // refused: it was neither at that moment
    CHECK(ran.status == 0);
    const bool target = ran.out == std::string(outside) + '\n';
    at_target += target ? 1 : 0;
    at_directory += ran.out == "/spot\n" || ran.out == "/link\n" ? 1 : 0;
    // Anywhere else, and it is not in the container.
    CHECK((target || ran.out == "/spot\n" || ran.out == "/link\n"));
    CHECK(test::fs::is_empty(outside));
  }
  kill(swapper, SIGKILL);
  waitpid(swapper, nullptr, 0);
  munmap(shared, sizeof(std::atomic<long>));
  CHECK(disturbed > 200);
  CHECK(at_directory > 0);
  CHECK(at_target > 0);
  CHECK(test::read_file("/proc/self/mountinfo") == mounts);
  CHECK(test::fs::is_empty(outside));
  CHECK(rmdir(outside) == 0);
}
