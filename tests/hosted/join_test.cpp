// SPDX-License-Identifier: Apache-2.0
//
// Boxes in namespaces that exist already: those of a process, and those that files stand for.

#include <sys/syscall.h>
#include <sys/wait.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

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

TEST_CASE_METHOD(Fixture, "why namespaces can't be joined is told apart", "[userns]") {
  // The whole text, of which some parts must be in it.
  const auto told = [](const auto& box, std::initializer_list<std::string> parts) {
    const auto end = run(box, {"true"});
    REQUIRE_FALSE(end);
    const std::string text = end.error().text();
    INFO(text);
    CHECK_FALSE(end.error().remedy.empty());
    for (const std::string& part : parts) CHECK(text.find(part) != std::string::npos);
  };
  const std::string user = ns / "user";
  const std::string mount = ns / "mnt";
  const std::string net = ns / "net";

  // By number.
  int ended = 0;
  {
    auto child = spawn(image(image_path), {"true"});
    REQUIRE((child && child->wait()));
    ended = child->pid();
  }
  told(compose(attach(ended)), {"can't join the user and mount namespaces of process " +
                                    std::to_string(ended) + ": No such process (ESRCH)",
                                "cause: there is no process with this number"});
  told(compose(attach(-5)), {"the number of a process is greater than 0"});
  told(compose(attach(::getpid())),
       {"can't join the user namespace /proc/" + std::to_string(::getpid()) +
            "/ns/user: Invalid argument (EINVAL) from setns",
        "cause: both processes are in the same user namespace: the other one is in no"});
  std::atomic<int> thread = 0;
  std::atomic<bool> stop = false;
  std::thread other([&] {
    thread = static_cast<int>(::syscall(SYS_gettid));
    while (!stop) std::this_thread::yield();
  });
  while (thread == 0) std::this_thread::yield();
  told(compose(attach(thread)), {"cause: this is the number of a thread"});
  stop = true;
  other.join();

  // By files.
  told(compose(attach<ns::user>("/proc/self/ns/user")),
       {"can't join the user namespace /proc/self/ns/user: Invalid argument (EINVAL) from setns",
        "cause: this process is in this user namespace already"});
  told(compose(attach<ns::mount>(image_path + "/bin/busybox")),
       {"can't join the mount namespace " + image_path + "/bin/busybox",
        "cause: this file stands for no namespace"});
  told(compose(attach<ns::user, ns::mount>(mount, user)),
       {"can't join the user namespace " + mount, "cause: this file stands for a mount namespace"});
  told(compose(attach<ns::net>("/nowhere")),
       {"can't open the file of the net namespace /nowhere: No such file or directory (ENOENT)",
        "cause: there is no such file"});
  told(compose(attach<ns::net>("/proc/" + std::to_string(ended) + "/ns/net")),
       {"cause: there is no process with this number"});
  told(compose(attach<ns::net>("/proc/self/ns/nonsense")), {"cause: there is no such file"});

  if (::geteuid() != 0) {
    told(compose(attach(1)), {"/proc/1/ns/user: Operation not permitted (EPERM) from setns",
                              "cause: process 1 belongs to root, or has closed itself"});
    told(compose(attach<ns::user>("/proc/1/ns/user")),
         {"/proc/1/ns/user: Permission denied (EACCES)",
          "cause: process 1 belongs to root, or has closed"});
    told(compose(attach<ns::net>("/proc/self/ns/net")),
         {"/proc/self/ns/net: Operation not permitted (EPERM)",
          "cause: it belongs to the user namespace of this process, which has no privilege there"});
    told(compose(attach<ns::uts>(ns / "uts")),
         {"Operation not permitted (EPERM)",
          "cause: it belongs to a user namespace that has not been joined"});
    const std::string secret = dir / "secret";
    test::write_file(secret, "");
    fs::permissions(secret, fs::perms::none);
    told(compose(attach<ns::net>(secret)), {"cause: you may not read it"});
  }
}

TEST_CASE_METHOD(Fixture, "a process in a container is told why it can't leave it", "[userns]") {
  // Held open, the namespaces of the host can be named from inside, but not be joined.
  const kernel::OwnedFd outside(::open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC));
  const kernel::OwnedFd net(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  const auto told =
      call(joined(),
           [&] {
             const std::string self = "/proc/self/fd/";
             const auto by_user =
                 run(compose(attach<ns::user>(self + std::to_string(outside.get()))), {"true"});
             const auto by_net =
                 run(compose(attach<ns::net>(self + std::to_string(net.get()))), {"true"});
             return by_user || by_net ? std::string("left")
                                      : by_user.error().text() + '\n' + by_net.error().text();
           },
           {.descriptors = std::vector{outside.get(), net.get()}});
  REQUIRE(told);
  INFO(*told);
  CHECK(told->find("it is not below the user namespace of this process") != std::string::npos);
  CHECK(told->find("cause: it belongs to a user namespace that is not below") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "a process with threads is told that it can't enter itself", "[userns]") {
  const auto told = call(host, [&] {
    std::atomic<bool> stop = false;
    std::thread other([&] {
      while (!stop) std::this_thread::yield();
    });
    const Failure failure = exec(compose(attach(keeper->pid())), {"true"});
    stop = true;
    other.join();
    return failure.text();
  });
  REQUIRE(told);
  INFO(*told);
  CHECK(told->find("/ns/user: Invalid argument (EINVAL)") != std::string::npos);
  CHECK(told->find("cause: a process with several threads can't enter it") != std::string::npos);
}
