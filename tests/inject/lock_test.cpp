// SPDX-License-Identifier: Apache-2.0
//
// ch-fromhost on an image that another one is changing, or that one killed a moment ago
// still locks: it waits a little while, and then names the process that it waited for.

#include <sys/file.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/inject/host_image.hpp"

using test::contains;
using test::FromHost;
using test::inject_fixture;
using test::Ran;
namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

/// Locks the image as a ch-fromhost does.
int locked(const fs::path& image) {
  const int fd = open(image.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  REQUIRE(flock(fd, LOCK_EX) == 0);
  return fd;
}

/// Starts a command, without output.
pid_t start(const std::vector<std::string>& words) {
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid != 0) return pid;
  std::vector<char*> argv;
  for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const int null = open("/dev/null", O_RDWR);
  dup2(null, 1);
  dup2(null, 2);
  execv(argv[0], argv.data());
  _exit(127);
}

}  // namespace

TEST_CASE("a lock that is released within seconds is waited for", "[inject][tool]") {
  const FromHost f;
  const int fd = locked(f.image);
  std::thread other([fd] {
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    close(fd);
  });
  const auto start = Clock::now();
  const Ran ran = f({"-p", inject_fixture("bin/charlie_ask")});
  const auto took = Clock::now() - start;
  other.join();
  CAPTURE(ran.err);
  CHECK(ran.status == 0);
  CHECK(took > std::chrono::milliseconds(1400));
  CHECK(fs::exists(f.image / "usr/bin/charlie_ask"));
}

TEST_CASE("one ch-fromhost at a time works on an image", "[inject][tool]") {
  const FromHost f;
  const auto before = test::everything(f.image, true);
  const int fd = locked(f.image);
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"-p", inject_fixture("bin/charlie_ask")}, {"--remove"}}) {
    const auto start = Clock::now();
    const Ran ran = f(words);
    const auto took = Clock::now() - start;
    CAPTURE(ran.err);
    CHECK(ran.status == 1);
    CHECK(
        contains(ran.err, f.image.string() +
                              ": another process is still injecting files into this image after 5 "
                              "seconds\n"));
    CHECK(contains(ran.err, "\nch-fromhost: remedy: "));
    CHECK(took > std::chrono::milliseconds(4900));
    CHECK(took < std::chrono::seconds(20));
  }
  CHECK(before == test::everything(f.image, true));
  // Commands that only read don't wait.
  const auto start = Clock::now();
  CHECK(f({"--list"}).status == 0);
  CHECK(f({"--dry-run", "-p", inject_fixture("bin/charlie_ask")}).status == 0);
  CHECK(Clock::now() - start < std::chrono::seconds(4));
  close(fd);
  CHECK(f({"-p", inject_fixture("bin/charlie_ask")}).status == 0);
}

TEST_CASE("waiting for another ch-fromhost can be interrupted", "[inject][tool]") {
  FromHost f;
  const int fd = locked(f.image);
  f.options.in_child = [] {  // a signal that comes while it waits
    const pid_t self = getpid();
    if (fork() != 0) return;
    usleep(700'000);
    kill(self, SIGTERM);
    _exit(0);
  };
  const auto start = Clock::now();
  const Ran ran = f({"-p", inject_fixture("bin/charlie_ask")});
  CAPTURE(ran.err);
  CHECK(ran.status == 128 + SIGTERM);
  CHECK(contains(ran.err, "ch-fromhost: error: interrupted"));
  CHECK(Clock::now() - start < std::chrono::seconds(4));
  close(fd);
}

TEST_CASE("ldconfig ends when ch-fromhost is killed", "[inject][tool]") {
  const FromHost f;
  fs::remove(f.image / "sbin/ldconfig");
  test::write_file(f.image / "sbin/ldconfig",
                   "#!/bin/sh\nwhile :; do echo beat >> /beats; sleep 0.05; done\n");
  fs::permissions(f.image / "sbin/ldconfig", fs::perms(0755));
  const fs::path beats = f.image / "beats";
  const auto size = [&beats] { return fs::exists(beats) ? fs::file_size(beats) : 0; };
  const pid_t pid =
      start({test::ch_fromhost(), "-p", inject_fixture("lib/libcharlie_answer.so.1.0"), f.image});
  for (int tries = 0; tries < 200 && size() == 0; ++tries) usleep(50'000);
  CHECK(size() > 0);
  kill(pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
  usleep(300'000);
  const auto then = size();
  usleep(500'000);
  CHECK(size() == then);
}

TEST_CASE("right after a run that was killed, the next ch-fromhost succeeds", "[inject][tool]") {
  const FromHost f;
  const std::vector<std::string> words = {test::ch_fromhost(),
                                          "-p",
                                          inject_fixture("bin/charlie_ask"),
                                          "-p",
                                          inject_fixture("lib/libcharlie_answer.so.1.0"),
                                          f.image};
  for (int round = 0; round < 30; ++round) {
    const pid_t pid = start(words);
    usleep(static_cast<useconds_t>(1000 + round * 700));
    kill(pid, SIGKILL);
    // Not waited for first: the shell's next command does not wait for a process in the
    // background either.
    const Ran next = f({"--remove"});
    CAPTURE(round, next.err);
    CHECK(next.status == 0);
    int status = 0;
    waitpid(pid, &status, 0);
  }
}

TEST_CASE("an image that is replaced while its lock is waited for is left alone",
          "[inject][tool]") {
  const FromHost f;
  const int fd = locked(f.image);
  const fs::path was = f.image.string() + ".was";
  const auto at_first = test::everything(f.image, true);
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(1000));
    fs::rename(f.image, was);
    fs::copy(was, f.image, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    close(fd);
  });
  const Ran ran = f({"-p", inject_fixture("bin/charlie_ask")});
  other.join();
  CAPTURE(ran.err);
  CHECK(ran.status == 1);
  CHECK(contains(ran.err, "this image was replaced or removed while we waited for it"));
  CHECK(test::everything(was, true) == at_first);
  CHECK_FALSE(fs::exists(f.image / "usr/bin/charlie_ask"));
}
