// SPDX-License-Identifier: Apache-2.0
//
// What is under the name that an image gets, before, meanwhile and after: what is replaced
// and what is not, many at once, umasks, a full or closed or vanished destination.

#include <linux/fs.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/image/started.hpp"
#include "tests/support/faults.hpp"

namespace {

using test::ch_tar2dir;
using test::contains;
using test::content;
using test::Ran;
using test::run;
using test::small_tar;
using test::Tar;
using test::TempDir;
using Fixture = test::ToolFixture;
namespace fs = std::filesystem;

}  // namespace

TEST_CASE("an image is replaced whole; what is not an image stays", "[image][tool]") {
  const Fixture f;
  REQUIRE(f.unpack().status == 0);
  test::write_file(f.image + "/usr/added", "x");
  CHECK(f.unpack().status == 0);
  CHECK(content(f.image + "/usr/added") == "(none)");
  CHECK(content(f.image + "/usr/f") == "content");
  fs::remove_all(f.image);

  fs::create_directory(f.image);  // empty: nothing to lose
  CHECK(f.unpack().status == 0);
  fs::remove_all(f.image);

  const auto refused = [&](const std::string& why) {
    const Ran ran = f.unpack();
    CAPTURE(why, ran.err);
    CHECK(ran.status == 1);
    CHECK(contains(ran.err, why));
    CHECK(f.beside() == std::vector<std::string>{"image"});
  };
  fs::create_directories(f.image + "/precious");
  refused("does not appear to be an image");
  CHECK(f.unpack({"--force"}).status == 0);
  CHECK_FALSE(fs::exists(f.image + "/precious"));
  fs::remove_all(f.image);
  test::write_file(f.image, "a file");
  refused("not a directory");
  CHECK(content(f.image) == "a file");
  fs::remove(f.image);
  fs::create_directory(f.dir / "elsewhere");
  fs::create_symlink("../elsewhere", f.image);
  refused("this is a link");
  fs::remove(f.image);
  fs::create_symlink("nowhere", f.image);
  refused("this is a link");
}

TEST_CASE("a directory of another user is not replaced, not even by force", "[image][tool]") {
  if (geteuid() == 0) return;  // root may replace everyone's files
  const Fixture f;
  for (const char* name : {"/usr", "/etc/"}) {
    const Ran ran = run({ch_tar2dir(), "--force", f.archive, name});
    CHECK(ran.status == 1);
    CHECK(contains(ran.err, "this exists and belongs to another user"));
  }
}

TEST_CASE("names of the destination: trailing slashes, relative, none", "[image][tool]") {
  const Fixture f;
  test::RunOptions in;
  in.directory = (f.dir / "at").string();
  CHECK(run({ch_tar2dir(), f.archive, "one"}, in).status == 0);
  CHECK(run({ch_tar2dir(), f.archive, "./two/"}, in).status == 0);
  CHECK(run({ch_tar2dir(), f.archive, "../at/three//"}, in).status == 0);
  CHECK(f.beside() == std::vector<std::string>{"one", "three", "two"});
  for (const char* name : {".", "..", "/", "", "one/.."}) {
    CAPTURE(name);
    CHECK(run({ch_tar2dir(), f.archive, name}, in).status == 1);
  }
  CHECK(f.beside() == std::vector<std::string>{"one", "three", "two"});
}

TEST_CASE("a failed replacement leaves the old image", "[image][tool]") {
  const Fixture f;
  REQUIRE(f.unpack().status == 0);
  test::write_file(f.image + "/usr/added", "mine");
  const std::string whole = test::read_file(f.archive);
  for (std::size_t size = 0; size < whole.size(); size += 29) {
    test::write_file(f.archive, whole.substr(0, size));
    CHECK(f.unpack().status == 1);
    CHECK(content(f.image + "/usr/added") == "mine");
    CHECK(f.beside() == std::vector<std::string>{"image"});
  }
}

TEST_CASE("the image is not accessible to others while it grows, whatever the umask",
          "[image][tool]") {
  for (const mode_t mask : {0000, 0022, 0077}) {
    const Fixture f;
    test::HeldTool tool(f, small_tar().file("mode", "m", 0666).bytes(), {},
                        [mask] { umask(mask); });
    struct stat holder {};
    REQUIRE(lstat((f.dir / "at/.ch-tar2dir.image").c_str(), &holder) == 0);
    CHECK((holder.st_mode & 07777) == 0700);
    CHECK_FALSE(fs::exists(f.image));
    tool.let_go();
    CHECK(tool.wait() == 0);
    struct stat s {};
    const auto mode = [&](const char* name) {
      REQUIRE(lstat((f.image + "/" + name).c_str(), &s) == 0);
      return s.st_mode & 07777;
    };
    CAPTURE(mask);
    CHECK(mode(".") == 0755);
    CHECK(mode("mode") == 0666);
    CHECK(mode("bin/sh") == 0755);
    CHECK(mode("usr") == 0755);
    CHECK(mode("proc") == 0755);
    CHECK(mode("etc/hosts") == 0644);
  }
}

TEST_CASE("the same modes without a container, whatever the umask", "[image][tool]") {
  for (const mode_t mask : {0000, 0022, 0077}) {
    const Fixture f;
    test::write_file(f.archive, small_tar().file("mode", "m", 0666).dir("d/", 01777).bytes());
    test::RunOptions options;
    options.in_child = [mask] { umask(mask); };
    REQUIRE(f.unpack({"--contain=never"}, options).status == 0);
    CHECK((fs::status(f.image + "/mode").permissions() & fs::perms(07777)) == fs::perms(0666));
    CHECK((fs::status(f.image + "/d").permissions() & fs::perms(07777)) == fs::perms(01777));
    for (const char* made : {"", "/proc", "/etc", "/mnt/3", "/ch", "/usr"})
      CHECK((fs::status(f.image + made).permissions() & fs::perms(07777)) == fs::perms(0755));
  }
}

TEST_CASE("of many runs that unpack to one name one succeeds, the others report it",
          "[image][tool]") {
  const Fixture f;
  const std::string other = (f.dir / "other.tar").string();
  test::write_file(other, Tar().dir("bin/").dir("dev/").dir("usr/").file("usr/f", "other").bytes());
  int both = 0;
  for (int pair = 0; pair < 50; ++pair) {
    fs::remove_all(f.image);
    test::Started one({ch_tar2dir(), "--no-sync", f.archive, f.image}, f.dir / "one");
    test::Started two({ch_tar2dir(), "--no-sync", other, f.image}, f.dir / "two");
    int good = 0;
    for (test::Started* started : {&one, &two}) {
      const Ran ran = started->wait();
      CAPTURE(ran.err);
      if (ran.status == 0) {
        ++good;
        continue;
      }
      CHECK(ran.status == 1);
      CHECK(contains(ran.err, "another process is unpacking to this name right now"));
      CHECK(contains(ran.err, "remedy: wait for it to end"));
    }
    CHECK(good >= 1);  // both, if the second began when the first had ended
    both += good == 2 ? 1 : 0;
    const std::string file = content(f.image + "/usr/f");
    CHECK((file == "content" || file == "other"));
    CHECK(fs::exists(f.image + "/bin/sh") == (file == "content"));
    CHECK(f.beside() == std::vector<std::string>{"image"});
  }
  INFO("pairs that ran one after the other: " << both);
  CHECK(both < 50);
}

TEST_CASE("the temporary directory of a dead run is removed, that of a live one is not",
          "[image][tool]") {
  const Fixture f;
  const fs::path holder = f.dir / "at/.ch-tar2dir.image";
  fs::create_directories(holder / "image/some/where");
  test::write_file(holder / "image/some/file", "left over");
  test::write_file(holder / "ch-tar2dir.work", "");
  fs::permissions(holder / "image/some/where", fs::perms(0));
  CHECK(f.unpack().status == 0);
  CHECK(f.beside() == std::vector<std::string>{"image"});

  fs::create_directory(holder);
  const int lock = open(holder.c_str(), O_RDONLY | O_DIRECTORY);
  REQUIRE(flock(lock, LOCK_EX | LOCK_NB) == 0);
  const Ran ran = f.unpack();
  CHECK(ran.status == 1);
  CHECK(contains(ran.err, "another process is unpacking to this name"));
  CHECK(fs::exists(holder));
  close(lock);
}

TEST_CASE("a limit on the size of files is an error, and does not kill the tool", "[image][tool]") {
  const Fixture f;
  test::write_file(f.archive, small_tar().file("large", std::string(100000, 'x')).bytes());
  for (const char* how : {"--contain=always", "--contain=never"}) {
    test::RunOptions options;
    options.in_child = [] {
      const rlimit limit{10000, 10000};
      setrlimit(RLIMIT_FSIZE, &limit);
    };
    const Ran ran = f.unpack({how}, options);
    CAPTURE(ran.err);
    CHECK(ran.status == 1);
    CHECK(contains(ran.err, "File too large"));
    CHECK(contains(ran.err, "ulimit -f"));
    CHECK(f.beside().empty());
  }
}

TEST_CASE("a full disk, at any fill, is one error and leaves nothing", "[image][tool]") {
  const TempDir dir;
  Tar tar;
  for (int i = 0; i < 30; ++i)
    tar.file("d" + std::to_string(i % 4) + "/f" + std::to_string(i), std::string(9000, 'x'));
  test::write_file(dir / "a.tar", tar.bytes());
  fs::create_directory(dir / "m");
  const std::string script =
      "mount -t tmpfs -o \"$1\" none \"$2/m\" || exit 77; "
      "\"$3\" $4 --max-size=1G --max-files=1M --no-sync \"$2/a.tar\" \"$2/m/i\" >/dev/null; "
      "status=$?; ls -A \"$2/m\"; exit $status";
  int failed = 0, worked = 0;
  for (const char* how : {"--contain=always", "--contain=never"}) {
    std::vector<std::string> limits;
    for (int kib = 4; kib <= 640; kib += 12) limits.push_back("size=" + std::to_string(kib) + "k");
    for (int inodes = 2; inodes <= 80; inodes += 3)
      limits.push_back("nr_inodes=" + std::to_string(inodes));
    for (const std::string& limit : limits) {
      const Ran ran = run({"unshare", "-Urm", "sh", "-c", script, "sh", limit, dir.path().string(),
                           ch_tar2dir(), how});
      SKIP_UNLESS(ran.status != 77 && !contains(ran.err, "unshare:"), "no tmpfs of our own here");
      CAPTURE(how, limit, ran.out, ran.err);
      if (ran.status == 0) {
        ++worked;
        CHECK(ran.out == "i\n");
      } else {
        ++failed;
        CHECK(ran.status == 1);
        CHECK(ran.out.empty());
        CHECK(contains(ran.err, "No space left on device"));
      }
    }
  }
  CHECK(failed > 20);
  CHECK(worked > 2);
}

TEST_CASE("what the file system has free is the limit, if none is given", "[image][tool]") {
  const TempDir dir;
  Tar large, many;
  large.file("large", std::string(3 << 20, 'x'));
  for (int i = 0; i < 200; ++i) many.symlink("l" + std::to_string(i), "t");
  test::write_file(dir / "size.tar", large.bytes());
  test::write_file(dir / "nr_inodes.tar", many.bytes());
  fs::create_directory(dir / "m");
  const std::string script =
      "mount -t tmpfs -o \"$1\" none \"$2/m\" || exit 77; "
      "\"$3\" $4 \"$2/${1%=*}.tar\" \"$2/m/i\" > /dev/null; status=$?; ls -A \"$2/m\"; exit "
      "$status";
  for (const char* how : {"--contain=always", "--contain=never"})
    for (const auto& [limit, error] :
         {std::pair("size=2m", "unpacks to more than "), {"nr_inodes=100", "has more than "}}) {
      const Ran ran = run({"unshare", "-Urm", "sh", "-c", script, "sh", limit, dir.path().string(),
                           ch_tar2dir(), how});
      SKIP_UNLESS(ran.status != 77 && !contains(ran.err, "unshare:"), "no tmpfs of our own here");
      CAPTURE(how, limit, ran.err);
      CHECK(ran.status == 1);
      CHECK(ran.out.empty());
      CHECK(contains(ran.err, error));
      CHECK(contains(ran.err, "remedy: if you trust it, allow more (default: what the file system"));
    }
}

TEST_CASE("an unwritable destination is one error, and is unchanged", "[image][tool]") {
  const Fixture f;
  REQUIRE(f.unpack().status == 0);
  test::write_file(f.image + "/usr/added", "mine");
  const auto refused = [&](const Ran& ran, const char* why) {
    CAPTURE(ran.err);
    CHECK(ran.status == 1);
    CHECK(contains(ran.err, why));
    CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') <= 3);  // also "replacing", a remedy
    CHECK(f.beside() == std::vector<std::string>{"image"});
    CHECK(content(f.image + "/usr/added") == "mine");
  };
  if (geteuid() != 0) {
    fs::permissions(f.dir / "at", fs::perms(0555));
    refused(f.unpack(), "Permission denied");
    fs::permissions(f.dir / "at", fs::perms(0755));
  }
  const std::string script =
      "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" || exit 77; shift; exec "
      "\"$@\"";
  for (const char* how : {"--contain=always", "--contain=never"}) {
    const Ran ran = run({"unshare", "-Urm", "sh", "-c", script, "sh", (f.dir / "at").string(),
                         ch_tar2dir(), how, f.archive, f.image});
    SKIP_UNLESS(ran.status != 77 && !contains(ran.err, "unshare:"), "no mounts of our own here");
    refused(ran, "Read-only file system");
  }
}

TEST_CASE("a destination that goes away meanwhile is one error", "[image][tool]") {
  for (const char* how : {"--contain=always", "--contain=never"}) {
    const Fixture f;
    test::HeldTool tool(f, small_tar().bytes(), {how});
    fs::remove_all(f.dir / "at");
    tool.let_go();
    const int status = tool.wait();
    CAPTURE(how, status, tool.err());
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 1);
    CHECK(contains(tool.err(), "ch-tar2dir: error: "));
    CHECK_FALSE(fs::exists(f.dir / "at"));
  }
}

TEST_CASE("a destination that is renamed meanwhile has the image under its new name",
          "[image][tool]") {
  const Fixture f;
  test::HeldTool tool(f, small_tar().bytes(), {"--contain=never"});
  fs::rename(f.dir / "at", f.dir / "there");
  tool.let_go();
  CHECK(tool.wait() == 0);
  CHECK(content(f.dir / "there/image/usr/f") == "content");
  CHECK_FALSE(fs::exists(f.dir / "at"));
}

TEST_CASE("when interrupted, it cleans up and is terminated by the signal", "[image][tool]") {
  for (const char* how : {"--contain=always", "--contain=never"})
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      const Fixture f;
      test::HeldTool tool(f, small_tar().bytes(), {how});
      kill(tool.pid, signal);
      const int status = tool.wait();
      CAPTURE(how, signal, status);
      CHECK(WIFSIGNALED(status));
      CHECK(WTERMSIG(status) == signal);
      CHECK(f.beside().empty());
    }
}

#ifdef CHARLIE_HAVE_TRACER
TEST_CASE("a temporary directory that is exchanged for another gets nothing of the archive",
          "[image][tool]") {
  const Fixture f;
  const std::string at = (f.dir / "at").string();
  fs::create_directories(at + "/decoy/image");
  const int canary = open((at + "/decoy/image").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  REQUIRE(canary >= 0);
  // While the process that extracts is about to enter its namespaces: it has not mounted yet.
  bool exchanged = false;
  test::Fault fault;
  fault.concerns = [](long number) { return number == SYS_unshare; };
  fault.meddle = [&] {
    exchanged = syscall(SYS_renameat2, AT_FDCWD, (at + "/.ch-tar2dir.image").c_str(), AT_FDCWD,
                        (at + "/decoy").c_str(), RENAME_EXCHANGE) == 0;
  };
  const auto ran =
      test::run_with_fault({ch_tar2dir(), "--contain=always", f.archive, f.image}, fault);
  CAPTURE(ran.status, ran.err);
  REQUIRE(ran.hit);
  REQUIRE(exchanged);
  CHECK(fs::is_empty("/proc/self/fd/" + std::to_string(canary) + "/."));
  CHECK(ran.status == 0);
  CHECK(content(f.image + "/usr/f") == "content");
  close(canary);
}
#endif

TEST_CASE("a directory that has taken the image's place meanwhile is not removed",
          "[image][tool]") {
  for (const char* how : {"--contain=always", "--contain=never"}) {
    const Fixture f;
    REQUIRE(f.unpack().status == 0);
    const std::string other = (f.dir / "at/other").string();
    fs::create_directories(other + "/bin");
    fs::create_directories(other + "/dev");
    fs::create_directories(other + "/usr");  // looks like an image as well
    test::write_file(other + "/precious", "mine");
    test::HeldTool tool(f, small_tar().bytes(), {how});
    REQUIRE(syscall(SYS_renameat2, AT_FDCWD, f.image.c_str(), AT_FDCWD, other.c_str(),
                    RENAME_EXCHANGE) == 0);
    tool.let_go();
    const int status = tool.wait();
    CAPTURE(how, status, tool.err());
    CHECK(WEXITSTATUS(status) == 1);
    CHECK(contains(tool.err(), "another process changed what is there"));
    CHECK(content(f.image + "/precious") == "mine");
    CHECK(content(other + "/usr/f") == "content");
    CHECK(f.beside() == std::vector<std::string>{"image", "other"});
  }
}

TEST_CASE("what others write into an empty destination meanwhile is not removed", "[image][tool]") {
  for (const char* how : {"--contain=always", "--contain=never"}) {
    const Fixture f;
    fs::create_directory(f.image);
    test::HeldTool tool(f, small_tar().bytes(), {how});
    test::write_file(f.image + "/precious", "mine");
    tool.let_go();
    const int status = tool.wait();
    CAPTURE(how, status, tool.err());
    CHECK(WEXITSTATUS(status) == 1);
    CHECK(content(f.image + "/precious") == "mine");
    CHECK(f.beside() == std::vector<std::string>{"image"});
  }
}

TEST_CASE("an image that was set aside by a run that was killed is restored", "[image][tool]") {
  const Fixture f;
  REQUIRE(f.unpack().status == 0);
  test::write_file(f.image + "/usr/added", "mine");
  const fs::path holder = f.dir / "at/.ch-tar2dir.image";
  for (const bool is_there : {true, false}) {  // the archive
    fs::create_directories(holder / "new/usr");
    test::write_file(holder / "ch-tar2dir.work", "");
    fs::rename(f.image, holder / "old");
    test::write_file(f.archive, "no archive");
    if (!is_there) fs::remove(f.archive);
    CHECK(f.unpack().status == 1);
    CHECK(content(f.image + "/usr/added") == "mine");
    CHECK(f.beside() == std::vector<std::string>{"image"});
  }
  test::write_file(f.archive, "no archive");

  // Something else was created under the name since: neither is lost.
  fs::create_directories(holder / "new/usr");
  test::write_file(holder / "ch-tar2dir.work", "");
  fs::rename(f.image, holder / "old");
  fs::create_directory(f.image);
  const Ran ran = f.unpack();
  CHECK(ran.status == 1);
  CHECK(contains(ran.err, "set aside"));
  CHECK(content((holder / "old/usr/added").string()) == "mine");
}

TEST_CASE("a directory with the temporary name that is not ours stays", "[image][tool]") {
  const Fixture f;
  const std::string file = (f.dir / "at/.ch-tar2dir.image/precious").string();
  fs::create_directory(f.dir / "at/.ch-tar2dir.image");
  test::write_file(file, "mine");
  const Ran ran = f.unpack();
  CHECK(ran.status == 1);
  CHECK(contains(ran.err, "precious"));
  CHECK(content(file) == "mine");

  // Another directory of the caller's that someone has given this name, where the parent allows.
  for (const char* name : {"image", "old", "new"}) {
    const Fixture g;
    const std::string below = (g.dir / "at/.ch-tar2dir.image" / name / "precious").string();
    fs::create_directories(fs::path(below).parent_path());
    test::write_file(below, "mine");
    const Ran refused = g.unpack();
    CAPTURE(name, refused.err);
    CHECK(refused.status == 1);
    CHECK(contains(refused.err, "but lacks the file ch-tar2dir.work that ours have"));
    CHECK(content(below) == "mine");
  }
}

TEST_CASE("a signal ends it while it waits for a writer of a FIFO", "[image][tool]") {
  const test::ToolFixture f;
  const std::string fifo = (f.dir / "fifo").string();
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{test::ch_tar2dir(), fifo, f.image},
        std::vector<std::string>{test::ch_tar2dir(), "--list", fifo}}) {
    test::Started waits(words, f.dir / "waits");
    const std::string stat = "/proc/" + std::to_string(waits.pid()) + "/stat";
    const auto sleeps = [&] { return test::contains(test::read_file(stat), "(ch-tar2dir) S"); };
    CHECK(test::in_time([&] { return sleeps() && usleep(100'000) == 0 && sleeps(); }));
    kill(waits.pid(), SIGINT);
    const test::Ran ran = waits.wait();
    CAPTURE(ran.err);
    CHECK(ran.status == 128 + SIGINT);
    CHECK(f.beside().empty());
  }
}

#if defined(CHARLIE_HAVE_TRACER)
TEST_CASE("a missing archive creates nothing, not even for a moment", "[image][tool]") {
  const test::ToolFixture f;
  const auto ran = test::trace_tool({test::ch_tar2dir(), "/not/there", f.image}, {});
  CHECK(ran.status == 1);
  for (const auto& call : ran.calls) CHECK(call.number != SYS_mkdirat);
}

TEST_CASE("a temporary directory that can't be looked at is gone again", "[image][tool]") {
  const test::ToolFixture f;
  for (int at = 0;; ++at) {
    test::Fault fault;
    fault.concerns = [](long number) { return number == SYS_newfstatat || number == SYS_fstat; };
    fault.error = EIO;
    fault.at = at;
    const auto ran = test::run_with_fault(
        {test::ch_tar2dir(), "--contain=never", "-j1", "--no-sync", f.archive, f.image}, fault);
    CAPTURE(at, ran.err);
    if (!ran.hit || at > 6) break;
    if (ran.status != 0) CHECK(f.beside().empty());
    test::fs::remove_all(f.image);
  }
}
#endif
