// SPDX-License-Identifier: Apache-2.0
//
// Every failure has a cause and a remedy: of limits that are reached, of programs that can't be
// executed, and of what a caller asks for by mistake.

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <vector>

#include "ch/run.hpp"
#include "tests/support/files.hpp"
#include "tests/support/filter_calls.hpp"

using namespace ch;

namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Ways to start something; each returns how it failed, if it did.
struct Ways {
  test::TempDir dir;
  std::string image_path = dir / "image";
  std::optional<Child> keeper;
  std::vector<std::pair<const char*, std::function<std::optional<Failure>()>>> all;

  Ways() {
    test::make_image(image_path);
    test::write_file(dir / "in", "x");
    auto child = spawn(compose(image(image_path), devices), {"cat"}, {.in = Stream::pipe()});
    REQUIRE(child);
    keeper.emplace(std::move(*child));
    const auto add = [this](const char* name, auto way) {
      all.emplace_back(name, [way]() -> std::optional<Failure> {
        const auto done = way();
        return done ? std::nullopt : std::optional(done.error());
      });
    };
    add("run", [this] { return run(image(image_path), {"true"}); });
    add("streams", [this] {
      return run(image(image_path), {"cat"},
                 {.in = Stream::file(dir / "in"), .out = Stream::null(), .err = Stream::null()});
    });
    add("capture", [this] { return capture(image(image_path), {"cat"}, {.input = "x"}); });
    add("a pid namespace",
        [this] { return run(compose(image(image_path), also<ns::pid>), {"true"}); });
    add("the host", [] { return run(host, {"true"}); });
    add("call", [this] { return call(image(image_path), [] { return 1; }); });
    add("call in a pid namespace",
        [this] { return call(compose(image(image_path), also<ns::pid>), [] { return 1; }); });
    add("attach", [this] { return run(compose(attach(keeper->pid())), {"true"}); });
    add("files", [this] {
      const std::string ns = "/proc/" + std::to_string(keeper->pid()) + "/ns/";
      return run(compose(attach<ns::user, ns::mount>(ns + "user", ns + "mnt")), {"true"});
    });
    add("a peer", [this] {
      const auto box =
          host_integrated(image_path, peers("causes-" + std::to_string(::getpid()), 1));
      return run(box, {"true"});
    });
    if (::geteuid() == 0)
      add("several ids",
          [this] { return run(compose(image(image_path), subordinate_ids()), {"true"}); });
  }
  /// What `prepare` makes of each way, in a copy of this process: the text of its failure, or
  /// nothing if it succeeded.
  template <class Prepare, class Judge>
  void judge(Prepare prepare, Judge judge) const {
    for (const auto& [name, way] : all) {
      const auto told = call(host, [&, &way = way] {
        prepare();
        const std::optional<Failure> failure = way();
        return failure ? failure->text() : std::string();
      });
      INFO(name);
      REQUIRE(told);
      judge(*told);
    }
  }
};

}  // namespace

TEST_CASE("whatever reaches the limit on open files, the failure names it", "[userns]") {
  const Ways ways;
  for (const auto& [name, way] : ways.all) {
    INFO(name);
    int refused = 0;
    for (rlim_t most = 3; most < 64; ++most) {
      const auto told = call(host, [&, &way = way] {
        const rlimit limit{most, most};
        if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) ::_exit(1);
        const std::optional<Failure> failure = way();
        return failure ? failure->text() : std::string();
      });
      REQUIRE(told);
      if (told->empty()) break;
      ++refused;
      INFO(*told);
      CHECK(says(*told, "cause: the limit on open files is reached: ulimit -n allows " +
                            std::to_string(most)));
      CHECK(says(*told, "remedy: allow more open files"));
    }
    CHECK(refused > 0);
    CHECK(refused < 60);
  }
}

TEST_CASE("whatever reaches the limit on processes, or memory, the failure names it", "[userns]") {
  const Ways ways;
  const std::vector<unsigned> starting = {
    SYS_clone3,
    SYS_clone,
#if defined(SYS_fork)
    SYS_fork,
    SYS_vfork
#endif
  };
  ways.judge([&] { test::filter_calls(starting, EAGAIN); },
             [](const std::string& told) {
               INFO(told);
               CHECK(says(told, "cause: the limit on processes is reached"));
               CHECK(says(told, "remedy: allow more (ulimit -u"));
             });
  ways.judge([&] { test::filter_calls(starting, ENOMEM); },
             [](const std::string& told) {
               INFO(told);
               CHECK(says(told, "cause: out of memory"));
               CHECK(says(told, "remedy: raise the limit on memory"));
             });
}

TEST_CASE("the cgroup whose limit on processes is reached is found", "[pure]") {
  const test::TempDir dir;
  const std::string own = dir / "own";
  const auto full = [&] { return detail::full_cgroup(own.c_str(), dir.path()); };
  const auto limit = [&](const std::string& cgroup, const char* most, const char* now) {
    test::fs::create_directories(dir / cgroup);
    test::write_file(dir / cgroup / "pids.max", most);
    test::write_file(dir / cgroup / "pids.current", now);
  };
  test::write_file(own, "0::/job/step\n");
  limit("job/step", "max\n", "7\n");
  limit("job", "8\n", "7\n");
  CHECK(full().empty());
  limit("job", "7\n", "7\n");
  CHECK(full() == (dir / "job").string() + ": pids.max is 7");
  limit("job/step", "7\n", "7\n");
  CHECK(full() == (dir / "job/step").string() + ": pids.max is 7");
  test::write_file(own, "9:name=systemd:/\n8:pids:/\n0::/\n");
  CHECK(full().empty());
  limit("pids", "3\n", "3\n");
  CHECK(full() == (dir / "pids").string() + ": pids.max is 3");
}

TEST_CASE("a limit on processes is named with its number", "[userns]") {
  const auto told = call(host, [] {
    if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(1);
    const rlimit limit{1, 1};
    if (::setrlimit(RLIMIT_NPROC, &limit) != 0) ::_exit(1);
    const auto end = run(host, {"true"});
    return end ? std::string() : end.error().text();
  });
  REQUIRE(told);
  INFO(*told);
  CHECK(says(*told, "can't start a process: Resource temporarily unavailable (EAGAIN) from clone"));
  CHECK(says(*told, "of a cgroup, or of the host: ulimit -u allows 1\n"));
}

TEST_CASE("a program that PATH leads to in vain is named with its directory", "[userns]") {
  const test::TempDir dir;
  for (const char* name : {"open", "closed"}) test::fs::create_directory(dir / name);
  test::write_file(dir / "open/plain", "x");
  test::write_file(dir / "closed/tool", "x");
  test::write_file(dir / "open/script", "#!/nowhere/sh\n");
  ::chmod((dir / "open/script").c_str(), 0755);
  ::chmod((dir / "closed").c_str(), 0);
  const auto told = [&](const char* program, const Options& options) {
    const auto text = call(host, [&] {
      if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(1);
      const auto end = run(host, {program}, options);
      return end ? std::string() : end.error().text();
    });
    REQUIRE(text);
    return *text;
  };
  const std::string closed = dir / "closed";
  const std::string open = dir / "open";
  const Options options{.environment = {"PATH=/nowhere:" + closed + ":" + open}};
  const std::string tool = told("tool", options);
  CHECK(says(tool, "can't execute " + closed + "/tool: Permission denied (EACCES)"));
  CHECK(says(tool, "cause: you may not search a directory on the way to it"));
  // What can't be searched does not hide what a later directory has.
  const std::string behind = told("script", options);
  CHECK(says(behind, "can't execute " + open + "/script: No such file or directory"));
  const std::string plain = told("plain", options);
  CHECK(says(plain, "can't execute " + open + "/plain: "));
  CHECK(says(plain, "cause: the file is not executable"));
  const std::string script = told("script", {.environment = {"PATH=/nowhere:" + open}});
  CHECK(says(script, "can't execute " + open + "/script: No such file or directory"));
  CHECK(says(script, "its interpreter"));
  const std::string path = told((closed + "/tool").c_str(), {});
  CHECK(says(path, "cause: you may not search a directory of the path"));
  // A process that waits for others reports the same.
  const auto peer = call(host, [&] {
    if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(1);
    ::prctl(PR_SET_DUMPABLE, 1);
    const auto end = run(compose(also<ns::pid>), {"plain"}, options);
    return end ? std::string() : end.error().text();
  });
  REQUIRE(peer);
  INFO(*peer);
  CHECK(says(*peer, "can't execute " + open + "/plain: "));
}

TEST_CASE("a process whose files in /proc are root's is told so", "[userns]") {
  const auto told = call(host, [&] {
    ::prctl(PR_SET_DUMPABLE, 0);
    if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(1);
    const auto end = run(compose(also<ns::uts>), {"true"});
    return end ? std::string() : end.error().text();
  });
  REQUIRE(told);
  INFO(*told);
  CHECK(says(*told, "can't deny setgroups /proc/self/setgroups: Permission denied (EACCES)"));
  CHECK(says(*told, "cause: this process has changed its user or group"));
  CHECK(says(*told, "remedy: prctl(PR_SET_DUMPABLE, 1)"));
}

TEST_CASE("a stream that can't be opened is explained", "[userns]") {
  const test::TempDir dir;
  test::write_file(dir / "secret", "x");
  ::chmod((dir / "secret").c_str(), 0);
  const auto told = [&](const Options& options) {
    const auto text = call(host, [&] {
      if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(1);
      const auto end = run(host, {"true"}, options);
      return end ? std::string() : end.error().text();
    });
    REQUIRE(text);
    CHECK(says(*text, "\nremedy: "));
    return *text;
  };
  CHECK(says(told({.in = Stream::file(dir / "none")}), "cause: there is no such file on the host"));
  CHECK(says(told({.out = Stream::file(dir / "none/x")}), "cause: there is no such directory"));
  CHECK(says(told({.out = Stream::append(dir.path())}), "cause: this is a directory"));
  CHECK(says(told({.in = Stream::file(dir / "secret")}), "cause: you may not read this file"));
  CHECK(says(told({.out = Stream::file(dir / "secret")}), "cause: you may not write to this file"));
  CHECK(says(told({.in = Stream::file(dir / "secret/x")}), "cause: a part of the path is a file"));
  CHECK(says(told({.in = Stream::file("")}), "cause: the path is empty"));
  CHECK(
      says(told({.in = Stream::descriptor(987)}), "cause: no open descriptor has the number 987"));
  CHECK(says(told({.out = Stream::text("x")}), "cause: a text is for input"));
  CHECK(says(told({.in = Stream::append("x")}), "cause: appending is for output"));
}

TEST_CASE("senseless requests are explained", "[userns]") {
  const test::TempDir dir;
  const std::string image_path = dir / "image";
  test::make_image(image_path);
  const auto explained = [](const auto& outcome) {
    REQUIRE_FALSE(outcome);
    INFO(outcome.error().text());
    CHECK_FALSE(outcome.error().cause.empty());
    CHECK_FALSE(outcome.error().remedy.empty());
  };
  auto child = spawn(image(image_path), {"true"});
  REQUIRE(child);
  const Child taken = std::move(*child);
  explained(child->wait());
  explained(run(image(image_path), {std::string("a\0b", 3)}));
  explained(run(image(image_path), {"true"}, {.environment = {"no assignment"}}));
  explained(run(image(Fd::none), {"true"}));
  explained(run(image(image_path), {"true"}, {.out = Stream::pipe()}));
  explained(
      run(compose(image(image_path), also<ns::pid>, ch::bind("/usr", "/mnt/none")), {"nowhere"}));
  explained(call(image(image_path), [] { return std::string(10, 'x'); }, {.limit = 5}));
  // Of several, the one at fault is named.
  const auto relative = run(
      compose(image(image_path), ch::bind("/usr", "/mnt/0"), ch::bind("/usr", "mnt/1")), {"true"});
  REQUIRE_FALSE(relative);
  CHECK(relative.error().path == "mnt/1");
}
