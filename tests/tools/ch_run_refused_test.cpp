// SPDX-License-Identifier: Apache-2.0
//
// A run that is refused leaves the user's layer and the host as they were; and what it has made
// in a writable image, where other runs may use it by then, it names.

#include <sys/file.h>
#include <unistd.h>

#include <set>

#include "tests/join/peers.hpp"
#include "tests/support/tracer.hpp"

using test::contains;

namespace {

struct Place : test::ChRun {
  std::string layer = dir / "layer";
  std::string kept = dir / "kept";  // a layer's directory that was there before

  Place() {
    test::fs::create_directory(kept);
    test::fs::create_directories(dir / "source/below");
    test::write_file(dir / "file", "text\n");
  }
  /// All names below the directory of the test.
  [[nodiscard]] std::set<std::string> names() const {
    std::set<std::string> all;
    for (const auto& e : test::fs::recursive_directory_iterator(
             dir.path(), test::fs::directory_options::skip_permission_denied))
      all.insert(e.path());
    return all;
  }
};

const std::vector<std::string> ways = {"detached", "attached", "classic"};

}  // namespace

TEST_CASE("a refused run leaves no mount points or links in a layer, and no layer", "[tool]") {
  const Place p;
  const std::string source = p.dir / "source";
  const std::vector<std::vector<std::string>> made = {
      {"-b", source + ":/new/deep/x"},
      {"-b", source + ":/new/deep/x", "-b", p.dir.path().string() + "/file:/new/file"},
      {"-b", source + "/below:/new/below", "-b", source + ":/new"},  // covers what was made first
      {"--symlink=a:/links/new", "--symlink=b:/link"},
      {"--copy=" + p.dir.path().string() + "/file:/copies/file"}};
  const std::vector<std::vector<std::string>> refused = {
      {"-b", p.dir.path().string() + "/not-there:/y"},             // while the tree is put together
      {"-b", p.dir.path().string() + "/file:/mnt"},                // of the wrong kind
      {"--cd=/not/there"},                                         // in the container already
      {"--join-ct=2", "--join-tag=refused", "--join-timeout=1"}};  // the others don't come
  const auto before = p.names();
  for (const std::string& layer :
       {"--overlay=" + p.layer, "--overlay=" + p.layer + "/", "--overlay=" + p.kept})
    for (const auto& making : made)
      for (const auto& refusing : refused)
        for (const std::string& way : ways) {
          if (refusing.front().rfind("--join", 0) == 0 && way != "detached") continue;  // slow
          std::vector<std::string> all = {"--no-home", "--assembly=" + way, layer};
          all.insert(all.end(), making.begin(), making.end());
          all.insert(all.end(), refusing.begin(), refusing.end());
          const auto ran = p.script("true", all);
          INFO(layer << ' ' << making.back() << ' ' << refusing.back() << ' ' << way << '\n'
                     << ran.err);
          CHECK(ran.status == 31);
          REQUIRE(p.names() == before);
        }
}

TEST_CASE("a refused run with its own pid namespace leaves nothing either", "[tool]") {
  const Place p;
  const auto before = p.names();
  const auto ran = p.script("true", {"--namespaces=pid", "--overlay=" + p.layer, "-b",
                                     p.home + ":/new/x", "--cd=/not/there"});
  INFO(ran.err);
  CHECK(ran.status == 31);
  CHECK(p.names() == before);
}

TEST_CASE("what others have put into a directory of a refused run stays", "[tool]") {
  const Place p;
  // In the layer before: neither it nor what is in it was made by the run that is refused.
  REQUIRE(p.script("mkdir -p /new/mine; echo x > /new/mine/x", {"--overlay=" + p.layer}).status ==
          0);
  const auto before = p.names();
  const auto ran = p.script("true", {"--overlay=" + p.layer, "-b", p.home + ":/new/mine", "-b",
                                     p.home + ":/new/other", "--cd=/not/there"});
  CHECK(ran.status == 31);
  CHECK(p.names() == before);
  CHECK(test::read_file(p.layer + "/upper/new/mine/x") == "x\n");
}

TEST_CASE("a replaced link can't be restored, and is named", "[tool]") {
  const Place p;
  test::fs::create_symlink("before", p.image + "/link");
  const auto ran = p.script("true", {"-w", "--symlink=after:/link", "--cd=/not/there"});
  INFO(ran.err);
  CHECK(ran.status == 31);
  CHECK(contains(ran.err, "warning: what was made for this run at /link stays there"));
}

TEST_CASE("what a refused run has made in a writable image stays, and is named", "[tool]") {
  const Place p;
  const std::vector<std::string> made = {"/new/x", "/new/file", "/links/new", "/copies/file"};
  for (const std::string& way : ways) {
    for (const char* top : {"/new", "/links", "/copies"}) test::fs::remove_all(p.image + top);
    const auto ran = p.script(
        "true", {"--no-home", "--assembly=" + way, "-w", "-b", p.dir / "source:/new/x", "-b",
                 p.dir / "file:/new/file", "--symlink=a:/links/new",
                 "--copy=" + (p.dir / "file").string() + ":/copies/file", "--cd=/not/there"});
    INFO(way << ": " << ran.err);
    CHECK(ran.status == 31);
    for (const std::string& path : made) {
      CHECK(test::fs::exists(test::fs::symlink_status(p.image + path)));
      CHECK(contains(ran.err, "warning: what was made for this run at " + path + " stays there"));
    }
  }
  // Nothing is said of what was there before.
  const auto again = p.script("true", {"-w", "-b", p.home + ":/new/x", "--cd=/not/there"});
  CHECK(again.status == 31);
  CHECK_FALSE(contains(again.err, "stays there"));
}

TEST_CASE("a run whose container stood keeps its mount points, as any run does", "[tool]") {
  const Place p;
  CHECK(p.ch_run({"-w", "-b", p.home + ":/new/x", p.image, "--", "not-a-program"}).status == 49);
  CHECK(test::fs::is_directory(p.image + "/new/x"));
}

TEST_CASE("a descriptor number that was not open is never one of ours", "[tool]") {
  const Place p;
  auto options = p.options;
  options.in_child = [] {
    for (int fd = 3; fd < 60; ++fd) close(fd);
  };
  const std::string list =
      "for d in /proc/self/fd/*; do readlink $d >/dev/null && printf '%s ' ${d##*/}; done";
  std::vector<std::string> arguments = {test::ch_run_path()};
  for (int fd = 3; fd < 60; ++fd) arguments.push_back("--keep-fd=" + std::to_string(fd));
  for (const std::string& more : {std::string("--no-conf"), std::string("--namespaces=pid")}) {
    auto words = arguments;
    words.insert(words.end(), {more, p.image, "--", "sh", "-c", list});
    const auto ran = test::run(words, options);
    INFO(ran.err);
    CHECK(ran.out == "0 1 2 ");
  }
  // What a recursive make says to children that it has not given its job server to.
  options.environment.push_back("MAKEFLAGS= -j2 --jobserver-auth=3,4");
  CHECK(test::run({test::ch_run_path(), p.image, "--", "sh", "-c", list}, options).out == "0 1 2 ");
}

#if defined(CHARLIE_HAVE_TRACER)
namespace {

/// ch-run of `p` with these options, watched.
struct Watched {
  const Place& p;
  std::vector<std::string> options;
  std::string err{};

  test::Traced run(const std::function<test::Interference(const test::Call&)>& at_call) {
    const std::string output = p.dir / "watched.err";
    const int fd = open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    std::vector<std::string> argv = {test::ch_run_path()};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.insert(argv.end(), {p.image, "--", "true"});
    test::Tracing tracing;
    tracing.patience = test::patience;
    tracing.at_call = at_call;
    const auto traced =
        test::trace(tracing, [&] { test::become(argv, p.options.environment, -1, fd); });
    close(fd);
    err = test::read_file(output);
    return traced;
  }
};

/// Lets the call of this kind fail that is the `at`-th of all of them.
std::function<test::Interference(const test::Call&)> failing(long number, int error,
                                                             std::size_t at = 0) {
  return [=, seen = std::size_t{0}](const test::Call& call) mutable {
    if (call.number != number || seen++ != at) return test::Interference{};
    return test::Interference{test::Act::fail, error};
  };
}

}  // namespace

TEST_CASE("a refused run takes no mount point from under another", "[tool]") {
  const Place p;
  test::write_file(p.dir / "source/mark", "seen\n");
  for (const std::string& way : ways) {
    test::fs::remove_all(p.image + "/new");
    std::unique_ptr<test::Peer> other;
    const std::string script =
        "echo in; until [ -e /mnt/0/go ]; do sleep 0.02; done; cat /new/x/mark";
    Watched refused{
        p,
        {"--no-home", "--assembly=" + way, "-w", "-b", p.dir / "source:/new/x", "--cd=/nowhere"}};
    const auto traced = refused.run([&](const test::Call& call) {
      if (call.number != SYS_pivot_root) return test::Interference{};
      other = std::make_unique<test::Peer>(
          std::vector<std::string>{test::ch_run_path(), "--no-home", "--assembly=" + way, "-w",
                                   "-b", p.dir / "source:/new/x", "-b", p.home + ":/mnt/0", p.image,
                                   "--", "sh", "-c", script},
          p.options, p.dir / "other");
      CHECK(other->wait_for_output());
      return test::Interference{test::Act::let_go};
    });
    INFO(way << ": " << refused.err);
    CHECK(traced.status == 31);
    REQUIRE(other);
    test::write_file(p.home + "/go", "");
    CHECK(other->wait().out == "in\nseen\n");
    test::fs::remove(p.home + "/go");
  }
}

TEST_CASE("a refused run leaves the directory that it made, but another has locked", "[tool]") {
  const Place p;
  int lock = -1;
  Watched refused{p, {"--no-home", "--overlay=" + p.layer}};
  const auto traced = refused.run([&](const test::Call& call) {
    if (call.number != SYS_flock) return test::Interference{};
    lock = open(p.layer.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);  // it has just been made
    CHECK(flock(lock, LOCK_EX | LOCK_NB) == 0);
    return test::Interference{test::Act::let_go};
  });
  INFO(refused.err);
  CHECK(traced.hit);
  CHECK(traced.status == 31);
  CHECK(contains(refused.err, "another container uses this directory"));
  CHECK(test::fs::is_directory(p.layer));
  REQUIRE(lock != -1);
  close(lock);
}

TEST_CASE("a refused run takes no layer from under another", "[tool]") {
  const Place p;
  std::unique_ptr<test::Peer> other;
  const std::string option = "--overlay=" + p.layer;
  Watched refused{p, {option}};
  const auto traced = refused.run([&](const test::Call& call) {
    constexpr std::uint64_t create = 6;  // FSCONFIG_CMD_CREATE
    if (call.number != SYS_fsconfig || call.arguments[1] != create) return test::Interference{};
    other = std::make_unique<test::Peer>(
        std::vector<std::string>{
            test::ch_run_path(), "--no-home", "-b", p.home + ":/mnt/0", option, p.image, "--", "sh",
            "-c", "echo in; until [ -e /mnt/0/go ]; do sleep 0.02; done; echo kept > /etc/kept"},
        p.options, p.dir / "other");
    CHECK(test::eventually([&] { return other->ended() || !other->out_so_far().empty(); }));
    return test::Interference{test::Act::fail, ENOMEM};
  });
  INFO(refused.err);
  CHECK(traced.status == 31);
  REQUIRE(other);
  test::write_file(p.home + "/go", "");
  const auto& ran = other->wait();
  INFO(ran.err);
  // Either it was told to wait, or its container is sound.
  if (ran.status == 31)
    CHECK(contains(ran.err, "another container uses this directory"));
  else
    CHECK(test::read_file(p.layer + "/upper/etc/kept") == "kept\n");
}

TEST_CASE("a layer's directory that can't be opened is removed again", "[tool]") {
  const Place p;
  const auto before = p.names();
  Watched refused{p, {"--overlay=" + p.layer}};
  bool made = false;
  (void)refused.run([&](const test::Call& call) {
    made = made || call.number == SYS_mkdirat;
    return made && call.number == SYS_openat ? test::Interference{test::Act::fail, EMFILE}
                                             : test::Interference{};
  });
  INFO(refused.err);
  CHECK(contains(refused.err, p.layer));
  test::fs::remove(p.dir / "watched.err");
  CHECK(p.names() == before);
}

TEST_CASE("what covers a name that the layer removed is named", "[tool]") {
  const Place p;
  const std::string option = "--overlay=" + p.layer;
  REQUIRE(p.script("rm -r /mnt/0", {option}).status == 0);
  const auto ran =
      p.script("true", {"--no-home", option, "-b", p.home + ":/mnt/0", "--cd=/not/there"});
  INFO(ran.err);
  CHECK(ran.status == 31);
  const bool named = contains(ran.err, "what was made for this run at /mnt/0 stays there");
  CHECK(p.script("test ! -e /mnt/0", {option}).status == (named ? 1 : 0));
}

TEST_CASE("a link that stays in place is not reported as lost", "[tool]") {
  const Place p;
  test::fs::create_symlink("before", p.image + "/link");
  Watched refused{p, {"-w", "--symlink=after:/link"}};
  (void)refused.run(failing(SYS_unlinkat, EACCES));
  INFO(refused.err);
  CHECK(contains(refused.err, "ermission denied"));
  CHECK_FALSE(contains(refused.err, "stays there"));
  CHECK(test::fs::read_symlink(p.image + "/link") == "before");
  // And one that could be removed, but not made, is.
  std::size_t links = 0;
  Watched half{p, {"-w", "--symlink=after:/link"}};
  (void)half.run([&](const test::Call& call) {
    return call.number == SYS_symlinkat && links++ == 1
               ? test::Interference{test::Act::fail, ENOSPC}
               : test::Interference{};
  });
  INFO(half.err);
  CHECK(contains(half.err, "what was made for this run at /link stays there"));
}

TEST_CASE("a container whose program can't be forked names what it has made", "[tool]") {
  const Place p;
  Watched refused{p, {"--namespaces=pid", "-w", "-b", p.home + ":/new/x"}};
  const auto traced = refused.run([&](const test::Call& call) {
    const bool forks = call.number == SYS_clone || call.number == SYS_clone3;
    return forks && call.task != "0" ? test::Interference{test::Act::fail, EAGAIN}
                                     : test::Interference{};
  });
  INFO(refused.err);
  REQUIRE(traced.hit);
  CHECK(traced.status == 31);
  CHECK(contains(refused.err, "what was made for this run at /new/x stays there"));
}

TEST_CASE("a mount refused by the kernel is not mistaken for a missing mount point", "[tool]") {
  const Place p;
  for (const std::string& way : {std::string("detached"), std::string("attached")})
    for (std::size_t at = 0;; ++at) {
      Watched refused{p, {"--assembly=" + way}};
      const auto traced = refused.run(failing(SYS_move_mount, EINVAL, at));
      INFO(way << ", mount " << at << ": " << refused.err);
      if (!traced.hit) {
        CHECK(at > 5);
        break;
      }
      CHECK(traced.status == 31);
      CHECK(contains(refused.err, "error"));
    }
}
#endif
