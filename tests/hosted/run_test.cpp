// SPDX-License-Identifier: Apache-2.0
//
// The hosted API in real containers: children, streams, captures, calls.

#include "ch/run.hpp"

#include <sys/wait.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "tests/support/files.hpp"
#include "tests/support/filter_calls.hpp"

using namespace ch;
using namespace std::chrono_literals;

namespace {

struct Fixture {
  test::TempDir dir;
  std::string image_path = dir / "image";
  Fixture() { test::make_image(image_path); }
  [[nodiscard]] Image box() const { return image(image_path); }
  [[nodiscard]] static Command shell(const std::string& script) { return {"sh", "-c", script}; }
};

/// What `script` prints in the box.
template <class B>
std::string said(const B& box, const std::string& script, const CaptureOptions& options = {}) {
  const auto got = capture(box, Fixture::shell(script), options);
  if (!got) return got.error().text();
  return got->out + got->err;
}

/// Does this process have a child that has ended and was not waited for?
bool has_children() { return ::waitpid(-1, nullptr, WNOHANG) != -1 || errno != ECHILD; }

}  // namespace

TEST_CASE_METHOD(Fixture, "run returns the status as a shell does", "[userns]") {
  CHECK(run(box(), {"true"})->shell_status() == 0);
  CHECK(run(box(), shell("exit 3"))->shell_status() == 3);
  CHECK(run(box(), shell("kill -TERM $$"))->shell_status() == 128 + SIGTERM);
  const auto absent = run(box(), {"no-such-program"});
  REQUIRE_FALSE(absent);
  CHECK(absent.error().exit_status() == 49);
  CHECK(absent.error().path == "no-such-program");
  CHECK(absent.error().cause.find("PATH") != std::string::npos);
  const auto nowhere = run(image(dir / "nowhere"), {"true"});
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.error().exit_status() == 31);
  CHECK(nowhere.error().path == (dir / "nowhere").string());
  CHECK_FALSE(nowhere.error().remedy.empty());
  CHECK_FALSE(has_children());
}

TEST_CASE_METHOD(Fixture, "the image's environment, PATH, directory and command apply",
                 "[userns]") {
  test::fs::create_directories(dir / "image/ch");
  test::fs::create_directories(dir / "image/work");
  test::write_file(dir / "image/ch/environment", "OF_IMAGE=yes\nBOTH=image\n");
  const char record[] = "directory=/work\0cmd=sh\0cmd=-c\0cmd=echo recorded";
  test::write_file(dir / "image/ch/process", std::string(record, sizeof record));
  ::setenv("OF_CALLER", "kept", 1);
  for (const bool integrated : {true, false}) {
    CaptureOptions options;
    options.environment = {"BOTH=mine", "DOLLAR=$HOME"};
    options.unset = {"OF_CALL*"};
    const std::string script = "echo $OF_IMAGE $BOTH $OF_CALLER. $DOLLAR $PWD";
    const std::string wanted = "yes mine . $HOME /work\n";
    if (integrated)
      CHECK(said(box(), script, options) == wanted);
    else
      CHECK(said(compose(box(), devices), script, options) == wanted);
  }
  CHECK(said(box(), "echo $OF_CALLER") == "kept\n");
  CHECK(said(box(), "echo $OF_CALLER.", {.inherit = Inherit::nothing}) == ".\n");
  CHECK(said(box(), "pwd", {.directory = "/mnt"}) == "/mnt\n");
  CHECK(capture(box(), {})->out == "recorded\n");
  ::unsetenv("OF_CALLER");
}

TEST_CASE_METHOD(Fixture, "a child can be waited for before or after its end, once or twice",
                 "[userns]") {
  auto slow = spawn(box(), {"sleep", "1000"});
  REQUIRE(slow);
  CHECK(slow->pid() > 0);
  pollfd ending{slow->pidfd(), POLLIN, 0};
  CHECK(::poll(&ending, 1, 0) == 0);
  CHECK_FALSE(*slow->wait_for(20ms));
  CHECK(slow->kill(SIGTERM));
  CHECK(::poll(&ending, 1, 10'000) == 1);
  const auto end = slow->wait_for(10s);
  REQUIRE(end);
  REQUIRE(*end);
  CHECK((*end)->signal == SIGTERM);
  CHECK(slow->wait()->signal == SIGTERM);
  CHECK_FALSE(slow->kill(SIGTERM));
  CHECK_FALSE(has_children());
}

TEST_CASE_METHOD(Fixture, "a destroyed child is killed and reaped; a detached one keeps running",
                 "[userns]") {
  int pid = 0;
  {
    auto dropped = spawn(box(), {"sleep", "1000"});
    REQUIRE(dropped);
    pid = dropped->pid();
  }
  CHECK(::kill(pid, 0) == -1);
  CHECK_FALSE(has_children());

  auto first = spawn(box(), {"sleep", "1000"});
  auto second = spawn(box(), {"sleep", "1000"});
  REQUIRE((first && second));
  pid = first->pid();
  *first = std::move(*second);  // assigned over: the first ends
  CHECK(::kill(pid, 0) == -1);

  pid = first->detach();
  CHECK(first->pid() == 0);
  CHECK(::kill(pid, 0) == 0);
  CHECK_FALSE(first->wait());
  ::kill(pid, SIGKILL);
  int status = 0;
  CHECK(::waitpid(pid, &status, 0) == pid);
}

TEST_CASE_METHOD(Fixture, "streams are files, descriptors, pipes, texts or nothing", "[userns]") {
  const std::string in = dir / "in";
  const std::string out = dir / "out";
  test::write_file(in, "from a file\n");
  CHECK(run(box(), {"cat"}, {.in = Stream::file(in), .out = Stream::file(out)})->code == 0);
  CHECK(run(box(), {"echo", "more"}, {.out = Stream::append(out)})->code == 0);
  CHECK(test::read_file(out) == "from a file\nmore\n");

  // Swaps output and errors: neither redirection may close the other's source.
  const std::string errors = dir / "errors";
  const kernel::OwnedFd a(::open(out.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  const kernel::OwnedFd b(::open(errors.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  CHECK(run(box(), shell("echo o; echo e >&2; ls /proc/self/fd | wc -l >&2"),
            {.in = Stream::null(),
             .out = Stream::descriptor(a.get()),
             .err = Stream::descriptor(b.get())})
            ->code == 0);
  CHECK(test::read_file(out) == "o\n");
  CHECK(test::read_file(errors) == "e\n4\n");  // 0, 1, 2, and that of ls on the directory

  auto cat = spawn(box(), {"cat"}, {.in = Stream::pipe(), .out = Stream::pipe()});
  REQUIRE(cat);
  CHECK(::write(cat->in(), "ping", 4) == 4);
  char back[8] = {};
  CHECK(::read(cat->out(), back, sizeof back) == 4);
  CHECK(std::string(back) == "ping");
  CHECK(cat->wait()->code == 0);  // which closes its input

  const auto unreadable = run(box(), {"cat"}, {.in = Stream::file(dir / "absent")});
  REQUIRE_FALSE(unreadable);
  CHECK(unreadable.error().text().find((dir / "absent").string()) != std::string::npos);
  CHECK_FALSE(run(box(), {"cat"}, {.in = Stream::descriptor(987)}));
  CHECK_FALSE(run(box(), {"cat"}, {.out = Stream::text("x")}));
}

TEST_CASE_METHOD(Fixture, "standard error can go where standard output goes", "[userns]") {
  const std::string out = dir / "out";
  const kernel::OwnedFd file(::open(out.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  CHECK(run(box(), shell("echo o; echo e >&2"),
            {.out = Stream::descriptor(file.get()), .err = Stream::descriptor(file.get())})
            ->code == 0);
  CHECK(test::read_file(out) == "o\ne\n");
}

TEST_CASE_METHOD(Fixture, "capture takes megabytes both ways, and keeps to its limits",
                 "[userns]") {
  const std::string input(std::size_t{3} << 20, 'x');
  const auto both = capture(box(), shell("tee /dev/stderr"), {.input = input});
  REQUIRE(both);
  CHECK(both->ok());
  CHECK(both->out == input);
  CHECK(both->err == input);

  const auto late = capture(box(), shell("echo early; exec sleep 1000"), {.timeout = 3s});
  REQUIRE(late);
  CHECK(late->out == "early\n");
  CHECK(late->cut == Cut::timeout);
  CHECK(late->end.signal == SIGKILL);
  CHECK_FALSE(late->ok());

  const auto closed = capture(box(), shell("exec >&- 2>&-; exec sleep 1000"), {.timeout = 3s});
  CHECK(closed->cut == Cut::timeout);

  const auto endless = capture(box(), shell("while :; do echo more; done"), {.limit = 100'000});
  REQUIRE(endless);
  CHECK(endless->cut == Cut::size);
  CHECK(endless->out.size() < 200'000);
  CHECK(capture(box(), shell("cat; exit 4"))->end.code == 4);  // input is empty
  CHECK_FALSE(has_children());
}

TEST_CASE_METHOD(Fixture, "a function is called inside, and its result is returned", "[userns]") {
  const auto inside = compose(box(), file("of the container", "/etc/where"));
  const auto text = call(inside, [] {
    std::ifstream in("/etc/where");
    return std::string(std::istreambuf_iterator<char>(in), {});
  });
  REQUIRE(text);
  CHECK(*text == "of the container");
  struct Pair {
    int a;
    double b;
  };
  const int captured = 20;
  const auto pair = call(inside, [&] { return Pair{captured + 1, 0.5}; });
  REQUIRE(pair);
  CHECK(pair->a == 21);
  CHECK(pair->b == 0.5);
  CHECK(call(inside, [] {}));

  const auto thrown = call(inside, []() -> int { throw std::runtime_error("on purpose"); });
  REQUIRE_FALSE(thrown);
  CHECK(thrown.error().cause == "it threw: on purpose");
  const auto died = call(inside, []() -> int {
    ::raise(SIGKILL);
    return 0;
  });
  REQUIRE_FALSE(died);
  CHECK(died.error().cause == "its process died of signal 9");
  const auto left = call(inside, []() -> int { ::_exit(7); });
  REQUIRE_FALSE(left);
  CHECK(left.error().cause == "its process ended with status 7");
  const auto nowhere = call(compose(image(dir / "nowhere")), [] { return 1; });
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.error().path == (dir / "nowhere").string());
  CHECK(nowhere.error().attempted == "open image");
  // In a pid namespace it is the first process; only a program can enter a time namespace.
  const auto first = call(compose(box(), also<ns::pid>), [] { return ::getpid(); });
  REQUIRE(first);
  CHECK(*first == 1);
  CHECK(*call(compose(box(), also<ns::pid>), [] { return std::string(70000, 'x'); }) ==
        std::string(70000, 'x'));
  CHECK_FALSE(call(compose(box(), also<ns::time>), [] { return 1; }));
  struct NoDefault {
    int a;
    explicit NoDefault(int value) : a(value) {}
  };
  CHECK(call(inside, [] { return NoDefault(3); })->a == 3);
  CHECK(call(inside, [] { return std::array<int, 2>{1, 2}; })->back() == 2);
  CHECK_FALSE(has_children());
}

TEST_CASE_METHOD(Fixture, "a called function does not keep pipes of others open", "[userns]") {
  // A pipe of another thread's, such as capture makes.
  detail::Pipe pipe = detail::make_pipe();
  const int writing_end = pipe.to.get();
  CHECK(*call(box(), [&] { return ::fcntl(writing_end, F_GETFD) == -1 && errno == EBADF; }));
  // Without standard streams, the result must not use one of their numbers.
  const auto closed = call(box(), [this] {
    ::close(0);
    ::close(1);
    const auto inner = call(box(), [] {
      const bool wrote = ::write(1, "HELLO", 5) == 5;
      return wrote ? 1 : 42;
    });
    return inner ? *inner : -1;
  });
  REQUIRE(closed);
  CHECK(*closed == 42);
}

TEST_CASE_METHOD(Fixture, "senseless requests are refused", "[userns]") {
  auto child = spawn(box(), {"sleep", "1000"});
  REQUIRE(child);
  Child taken = std::move(*child);
  const auto before = std::chrono::steady_clock::now();
  CHECK_FALSE(child->wait_for(10s));
  CHECK(std::chrono::steady_clock::now() - before < 9s);
  CHECK_FALSE(child->kill(SIGTERM));

  const auto over = capture(box(), {"sleep", "1000"}, {.timeout = -1s});
  REQUIRE(over);
  CHECK(over->cut == Cut::timeout);
  CHECK_FALSE(run(box(), {"echo", std::string("a\0b", 3)}));
  CHECK_FALSE(run(box(), {"true"}, {.directory = std::string("/mnt\0x", 6)}));
  CHECK_FALSE(run(image(image_path + std::string("\0x", 2)), {"true"}));
  CHECK_FALSE(run(box(), {"true"}, {.out = Stream::pipe()}));
}

TEST_CASE_METHOD(Fixture, "a refused run leaves a writable image below a layer as it was",
                 "[userns]") {
  test::fs::remove_all(dir / "image/mnt");
  test::fs::create_directory(dir / "image/mnt");
  test::fs::create_symlink("of the image", dir / "image/etc/link");
  const auto layered = compose(image(image_path, Access::read_write), changes_in_memory(),
                               ch::bind("/usr", "/mnt/0"), ch::link("/other", "/etc/link"));
  const auto refused = run(layered, {"true"}, {.directory = "/nowhere"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().path == "/nowhere");
  CHECK(test::fs::exists(dir / "image/mnt"));
  CHECK(test::fs::read_symlink(dir / "image/etc/link") == "of the image");
}

TEST_CASE_METHOD(Fixture,
                 "a creator that fails after its peers have entered leaves them their mounts",
                 "[userns]") {
  const auto shared =
      host_integrated(image(image_path, Access::read_write), ch::bind("/usr", "/mnt/new"),
                      peers("fails-" + std::to_string(::getpid()), 2));
  auto creator = spawn(shared, {"true"}, {.directory = "/nowhere"});
  std::this_thread::sleep_for(200ms);  // so that it is the first to come
  auto other = spawn(shared, shell("sleep 1; test -d /mnt/new/bin && test -e /proc/self/stat"));
  REQUIRE((creator && other));
  CHECK_FALSE(creator->wait());
  CHECK(other->wait()->shell_status() == 0);
}

TEST_CASE_METHOD(Fixture, "descriptors named by a variable are not kept if they are ours",
                 "[userns]") {
  const kernel::OwnedFd ours(::open("/", O_RDONLY | O_CLOEXEC));
  ::setenv("PMI_FD", std::to_string(ours.get()).c_str(), 1);
  const std::string script = "ls /proc/self/fd | wc -l";
  CHECK(said(box(), script) == "4\n");
  CHECK(said(compose(box(), devices), script) == "4\n");
  ::unsetenv("PMI_FD");
}

TEST_CASE("a copy of this process does not close the descriptors that a plan keeps", "[pure]") {
  const pid_t copy = ::fork();
  if (copy == 0) {
    const int kept = ::open("/", O_RDONLY | O_CLOEXEC);
    const int other = ::open("/", O_RDONLY | O_CLOEXEC);
    const Step steps[] = {step::CloseDescriptors{{&kept, 1}}};
    kernel::Linux k;
    ch::detail::close_as_exec(k, Plan{steps}, Fd::none);
    ::_exit(::fcntl(kept, F_GETFD) >= 0 && ::fcntl(other, F_GETFD) < 0 ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(copy, &status, 0) == copy);
  CHECK(status == 0);
}

TEST_CASE_METHOD(Fixture, "a child is waited for in time on a kernel without pidfds", "[userns]") {
  const pid_t old = ::fork();
  if (old == 0) {
    test::filter_calls({SYS_clone3, SYS_pidfd_open}, ENOSYS);
    auto quick = spawn(box(), {"true"});
    if (!quick || quick->pidfd() >= 0) ::_exit(2);
    const auto before = std::chrono::steady_clock::now();
    const auto end = quick->wait_for(60s);
    if (!end || !*end || (*end)->code != 0) ::_exit(3);
    if (std::chrono::steady_clock::now() - before > 50s) ::_exit(4);
    auto slow = spawn(box(), {"sleep", "1000"});
    if (!slow) ::_exit(5);
    const auto none = slow->wait_for(50ms);
    ::_exit(none && !*none && slow->kill(SIGKILL) && slow->wait() ? 0 : 6);
  }
  int status = 0;
  REQUIRE(::waitpid(old, &status, 0) == old);
  CHECK(status == 0);
}

TEST_CASE_METHOD(Fixture, "two peers of one group are started by one thread", "[userns]") {
  const auto box = host_integrated(image_path, peers("hosted-" + std::to_string(::getpid()), 2));
  const Options piped{.out = Stream::pipe()};
  auto a = spawn(box, {"readlink", "/proc/self/ns/mnt"}, piped);
  auto b = spawn(box, {"readlink", "/proc/self/ns/mnt"}, piped);
  REQUIRE((a && b));
  CHECK(a->wait()->code == 0);
  CHECK(b->wait()->code == 0);
  const std::string first = a->read_out();
  CHECK_FALSE(first.empty());
  CHECK(first == b->read_out());

  const auto alone =
      host_integrated(image_path, peers("alone-" + std::to_string(::getpid()), 2, 1s));
  auto lonely = spawn(alone, {"true"});
  REQUIRE(lonely);
  const auto end = lonely->wait();
  REQUIRE_FALSE(end);
  CHECK(end.error().code == Errno::etimedout);
  CHECK_FALSE(end.error().cause.empty());
}

TEST_CASE_METHOD(Fixture, "a pid namespace's program gets signals and has an init", "[userns]") {
  const auto inside = host_integrated(image_path, also<ns::pid>);
  CHECK(said(inside, "readlink /proc/1/exe >/dev/null; test $$ -ne 1 && echo child") == "child\n");
  auto slow = spawn(inside, {"sleep", "1000"});
  REQUIRE(slow);
  CHECK(slow->kill(SIGTERM));
  CHECK(slow->wait()->shell_status() == 128 + SIGTERM);
}

TEST_CASE_METHOD(Fixture, "many threads can start programs at once, and leave nothing",
                 "[userns]") {
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  const auto shared = host_integrated(image_path);
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 12; ++i) {
        const std::string word = std::to_string(t * 100 + i);
        const auto got = capture(shared, shell("echo " + word + "; ls /proc/self/fd | wc -l"));
        if (got && got->out == word + "\n4\n") ++good;
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(good == 8 * 12);
  CHECK_FALSE(has_children());
}

TEST_CASE_METHOD(Fixture, "a caller that ignores SIGCHLD gets the status, or the reason why not",
                 "[userns]") {
  const auto before = ::signal(SIGCHLD, SIG_IGN);
  auto child = spawn(box(), shell("exit 5"));
  REQUIRE(child);
  const auto end = child->wait();
  ::signal(SIGCHLD, before);
  kernel::Linux k;
  if (probe(k).kernel >= KernelVersion{6, 15}) {
    REQUIRE(end);
    CHECK(end->code == 5);
  } else {
    REQUIRE_FALSE(end);
    CHECK(end.error().cause.find("SIGCHLD") != std::string::npos);
  }
}

TEST_CASE_METHOD(Fixture, "explain shows what run would do, in three formats", "[userns]") {
  const auto text = explain(box(), {"true"});
  REQUIRE(text);
  CHECK(text->find("open image " + image_path) != std::string::npos);
  CHECK(text->find("execute true") != std::string::npos);
  CHECK(explain(box(), {"true"}, Form::json)->front() == '{');
  CHECK(explain(box(), {"true"}, Form::shell)->substr(0, 2) == "#!");
  CHECK(explain(compose(box()))->find("execute") == std::string::npos);
}
