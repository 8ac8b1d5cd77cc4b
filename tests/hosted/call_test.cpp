// SPDX-License-Identifier: Apache-2.0
//
// Functions called in containers, watched while they work; images given by a descriptor;
// programs and functions without a container.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <thread>

#include "ch/run.hpp"
#include "tests/support/files.hpp"

using namespace ch;
using namespace std::chrono_literals;

namespace {

struct Fixture {
  test::TempDir dir;
  std::string image_path = dir / "image";
  Fixture() { test::make_image(image_path); }
};

bool exists(const char* path) { return ::access(path, F_OK) == 0; }

/// The open descriptors of this process beyond 2, as a text.
std::string open_beyond_streams() {
  std::string all;
  for (int fd = 3; fd < 1024; ++fd)
    if (::fcntl(fd, F_GETFD) != -1) all += std::to_string(fd) + ' ';
  return all;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "a called function can be watched, fed, read and stopped", "[userns]") {
  auto* const shared = static_cast<std::atomic<int>*>(::mmap(nullptr, sizeof(std::atomic<int>),
                                                             PROT_READ | PROT_WRITE,
                                                             MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  REQUIRE(shared != MAP_FAILED);
  const auto box = compose(image(image_path));
  auto echo = spawn_call(box,
                         [shared] {
                           *shared = 7;
                           char byte = 0;
                           while (::read(0, &byte, 1) == 1) (void)!::write(1, &byte, 1);
                           return std::string("the end");
                         },
                         {.in = Stream::pipe(), .out = Stream::pipe(), .err = Stream::null()});
  REQUIRE(echo);
  CHECK(::write(echo->in(), "abc", 3) == 3);
  char back[8] = {};
  CHECK(::read(echo->out(), back, 1) == 1);
  CHECK(back[0] == 'a');
  CHECK(*shared == 7);
  CHECK_FALSE(echo->wait_for(20ms));
  CHECK_FALSE(echo->status());
  echo->close_in();
  CHECK(echo->wait_for(10s));
  CHECK(*echo->get() == "the end");
  CHECK(*echo->get() == "the end");
  CHECK(*echo->status() == ExitStatus{});
  ::munmap(shared, sizeof(std::atomic<int>));

  auto endless = spawn_call(box, [] { ::pause(); });
  REQUIRE(endless);
  CHECK_FALSE(endless->wait_for(20ms));
  CHECK(endless->kill(SIGKILL));
  CHECK_FALSE(endless->get());
  CHECK(endless->status()->signal == SIGKILL);

  int pid = 0;
  {
    const auto dropped = spawn_call(box, [] { ::pause(); });
    REQUIRE(dropped);
    pid = dropped->pid();
  }
  CHECK(::kill(pid, 0) == -1);
}

TEST_CASE_METHOD(Fixture,
                 "a result of megabytes is returned whole, and beyond the limit not at all",
                 "[userns]") {
  const auto box = compose(image(image_path));
  const auto megabytes = [] { return std::string(3'000'000, 'x'); };
  auto called = spawn_call(box, megabytes);
  REQUIRE(called);
  CHECK(called->wait_for(10s));
  CHECK(called->get()->size() == 3'000'000);
  const auto cut = call(box, megabytes, {.limit = 1000});
  REQUIRE_FALSE(cut);
  CHECK(cut.error().cause == "its result has more than 1000 bytes");
}

TEST_CASE_METHOD(Fixture, "a called function has the descriptors that it is given, and no others",
                 "[userns]") {
  const kernel::OwnedFd given(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const kernel::OwnedFd leaked(::open("/", O_RDONLY));
  const kernel::OwnedFd directory(::open(image_path.c_str(), O_PATH | O_CLOEXEC));
  const std::string result = std::to_string(given.get()) + ' ';
  const auto found = call(compose(image(directory.kernel_fd())),
                          [&] {
                            const std::string all = open_beyond_streams();
                            // Besides those given, the one for the result.
                            return std::to_string(std::count(all.begin(), all.end(), ' ')) +
                                   (::fcntl(given.get(), F_GETFD) != -1 ? " given" : "") +
                                   (::fcntl(leaked.get(), F_GETFD) != -1 ? " leaked" : "") +
                                   (::fcntl(directory.get(), F_GETFD) != -1 ? " directory" : "");
                          },
                          {.descriptors = std::vector<int>{given.get()}});
  REQUIRE(found);
  CHECK(*found == "2 given");
}

TEST_CASE_METHOD(Fixture, "no descriptor that is close-on-exec comes along, whatever its number",
                 "[userns]") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int root = ::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int high = ::fcntl(root, F_DUPFD_CLOEXEC, 900);
  REQUIRE(high >= 900);
  const rlimit lower{256, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &lower) == 0);
  const auto there = [high] { return ::fcntl(high, F_GETFD) != -1; };
  const auto plain = call(image(image_path), there);
  const auto alone = call(compose(image(image_path), also<ns::pid>), there);
  CHECK(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  REQUIRE(plain);
  REQUIRE(alone);
  CHECK_FALSE(*plain);
  CHECK_FALSE(*alone);
  ::close(high);
  ::close(root);
}

TEST_CASE_METHOD(Fixture,
                 "how a function in a pid namespace ended is known, though SIGCHLD is ignored",
                 "[userns]") {
  struct sigaction ignored {
  }, before{};
  ignored.sa_handler = SIG_IGN;
  REQUIRE(::sigaction(SIGCHLD, &ignored, &before) == 0);
  const auto box = compose(image(image_path), also<ns::pid>);
  auto exits = spawn_call(box, [] { ::_exit(7); });
  const bool started = static_cast<bool>(exits);
  const bool returned = started && exits->get();
  const auto handler = call(box, [] {
    struct sigaction now {};
    return ::sigaction(SIGCHLD, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
  });
  CHECK(::sigaction(SIGCHLD, &before, nullptr) == 0);
  REQUIRE(started);
  CHECK_FALSE(returned);
  REQUIRE(exits->status());
  CHECK(exits->status()->code == 7);
  REQUIRE(handler);
  CHECK(*handler);  // the function finds it as its caller left it
}

TEST_CASE_METHOD(Fixture, "a called function ends with the process that has called it",
                 "[userns]") {
  detail::Pipe pipe = detail::make_pipe();
  const std::vector<int> ends = {pipe.from.get(), pipe.to.get()};
  const auto said_by = [&pipe] {
    char byte = 0;
    return ::read(pipe.from.get(), &byte, 1) == 1 ? byte : '-';
  };
  auto outer = spawn_call(ch::host,
                          [&] {
                            const auto inner = spawn_call(compose(image(image_path)),
                                                          [&] {
                                                            (void)!::write(pipe.to.get(), "x", 1);
                                                            ::pause();
                                                          },
                                                          {.descriptors = ends});
                            if (inner && said_by() == 'x')
                              ::_exit(3);  // without its destructor, which would kill
                          },
                          {.descriptors = ends});
  REQUIRE(outer);
  pipe.to.reset();
  CHECK_FALSE(outer->get());
  CHECK(outer->status()->code == 3);
  pollfd ending{pipe.from.get(), POLLIN, 0};
  CHECK(::poll(&ending, 1, 10'000) == 1);
  CHECK(said_by() == '-');  // the other end is closed everywhere
}

TEST_CASE_METHOD(Fixture, "an image given by a descriptor is found wherever it is now",
                 "[userns]") {
  test::write_file(dir / "image/etc/which", "the one\n");
  const kernel::OwnedFd directory(::open(image_path.c_str(), O_PATH | O_CLOEXEC));
  const Image by_descriptor = image(directory.kernel_fd());
  CHECK(by_descriptor.path.str() == image_path);
  // Another image takes its name, as anyone who may write to the parent directory can do.
  test::fs::rename(image_path, dir / "moved");
  test::make_image(image_path);
  test::write_file(dir / "image/etc/which", "another\n");

  const auto composed = compose(by_descriptor, devices);
  CHECK(capture(composed, {"cat", "/etc/which"})->out == "the one\n");
  CHECK(capture(by_descriptor, {"cat", "/etc/which"})->out == "the one\n");
  CHECK(*call(composed, [] { return exists("/etc/which"); }));
  CHECK(capture(image(image_path), {"cat", "/etc/which"})->out == "another\n");

  // Sources of binds would be looked for in it; a pid namespace's first process can't enter it.
  const auto relative = run(compose(by_descriptor, ch::bind("etc", "/mnt")), {"true"});
  REQUIRE_FALSE(relative);
  CHECK(relative.error().cause.find("etc") != std::string::npos);
  CHECK_FALSE(relative.error().remedy.empty());
  CHECK(run(compose(by_descriptor, ch::bind("/etc", "/mnt")), {"true"})->code == 0);
  CHECK_FALSE(run(compose(by_descriptor, also<ns::pid>), {"true"}));
  const kernel::OwnedFd file(::open("/etc/passwd", O_RDONLY | O_CLOEXEC));
  CHECK_FALSE(run(compose(image(file.kernel_fd())), {"true"}));
  CHECK_FALSE(run(compose(image(Fd{987})), {"true"}));
  // This process is where it was.
  CHECK(test::fs::current_path() != dir / "moved");
}

TEST_CASE_METHOD(Fixture, "host programs and functions run without a container", "[userns]") {
  const std::string own = test::fs::read_symlink("/proc/self/ns/mnt").string() + "\n";
  const auto got = capture(ch::host, {"readlink", "/proc/self/ns/mnt"});
  REQUIRE(got);
  CHECK(got->out == own);
  // Needed for set-uid programs such as newuidmap: no_new_privs is not set.
  CHECK(capture(ch::host, {"grep", "NoNewPrivs", "/proc/self/status"})->out == "NoNewPrivs:\t0\n");
  CHECK(capture(image(image_path), {"grep", "NoNewPrivs", "/proc/self/status"})->out ==
        "NoNewPrivs:\t1\n");
  CHECK(*call(ch::host, [] { return ::getppid(); }) == ::getpid());
  CHECK(run(ch::host, {"sh", "-c", "exit 3"})->code == 3);
  const auto absent = run(ch::host, {"no-such-program"});
  REQUIRE_FALSE(absent);
  CHECK(absent.error().exit_status() == 49);
}

TEST_CASE_METHOD(Fixture, "a program has the descriptors that it is given, by their numbers",
                 "[userns]") {
  const std::string text = dir / "text";
  test::write_file(text, "by descriptor\n");
  const kernel::OwnedFd file(::open(text.c_str(), O_RDONLY | O_CLOEXEC));
  const std::string name = "/proc/self/fd/" + std::to_string(file.get());
  for (const bool integrated : {true, false}) {
    const CaptureOptions options{.descriptors = {file.get()}};
    const Command cat{"sh", "-c", "cat <&" + std::to_string(file.get())};
    REQUIRE(::lseek(file.get(), 0, SEEK_SET) == 0);
    const auto got = integrated ? capture(image(image_path), cat, options)
                                : capture(compose(image(image_path)), cat, options);
    REQUIRE(got);
    CHECK(got->out == "by descriptor\n");
  }
  CHECK(::fcntl(file.get(), F_GETFD) == FD_CLOEXEC);
  const auto both = host_integrated(image_path, peers("fd-" + std::to_string(::getpid()), 1));
  REQUIRE(::lseek(file.get(), 0, SEEK_SET) == 0);
  CHECK(capture(both, {"sh", "-c", "cat <&" + std::to_string(file.get())},
                {.descriptors = {file.get()}})
            ->out == "by descriptor\n");
}
