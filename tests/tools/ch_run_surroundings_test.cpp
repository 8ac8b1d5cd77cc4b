// SPDX-License-Identifier: Apache-2.0
//
// ch-run in the surroundings that sites have: ids without names, working directories that
// are gone, signals that the caller ignores, containers in containers, images and layers
// on file systems of all kinds.

#include <sys/mount.h>
#include <sys/stat.h>

#include <csignal>

#include "tests/support/ch_run.hpp"

namespace {

using test::contains;
using test::Ran;
using test::run;
using Fixture = test::ChRun;

}  // namespace

TEST_CASE("a user without a name gets a name inside", "[tool]") {
  Fixture f;
  if (geteuid() != 0) {
    // Only root can become someone without a name; others show it by what is inside.
    CHECK(f.script("id -un", {"-u", "54321"}).out == "user54321\n");
    CHECK(f.script("id -gn", {"-g", "54321"}).out == "group54321\n");
    return;
  }
  f.options.in_child = [] {
    if (setgid(54321) != 0 || setuid(54321) != 0) _exit(99);
  };
  REQUIRE(chown(f.home.c_str(), 54321, 54321) == 0);
  const Ran ran = f.script("id -un; id -gn; echo $HOME; touch $HOME/x");
  INFO(ran.err);
  CHECK(ran.out == "user54321\ngroup54321\n/home/user54321\n");
  CHECK(test::fs::exists(f.home + "/x"));
}

TEST_CASE("the image's root never honours set-uid bits", "[tool]") {
  const Fixture f;
  for (const auto& options : std::vector<std::vector<std::string>>{
           {}, {"-w"}, {"-W"}, {"-b", f.home + ":/new"}, {"--assembly=classic"},
           {"--assembly=attached"}}) {
    const Ran ran = f.script("grep -cE '^([^ ]+ ){4}/ r[ow],nosuid' /proc/self/mountinfo", options);
    INFO(f.script("cat /proc/self/mountinfo", options).out);
    CHECK(ran.out == "1\n");
  }
}

TEST_CASE("names that /etc/passwd does not know come from getent", "[tool]") {
  STATIC_TOOLS_ONLY();
  // A site's directory service, played by a getent in an outer container.
  Fixture f;
  test::fs::create_directories(f.image + "/usr/bin");
  test::write_file(f.image + "/usr/bin/getent",
                   "#!/bin/sh\n[ $2 = 54321 ] || exit 2\n[ $1 = passwd ] && "
                   "echo 'ldapuser:x:54321:54321:Ldap User:/mnt/1:/bin/sh' && exit\n"
                   "echo 'ldapgroup:x:54321:'\n");
  chmod((f.image + "/usr/bin/getent").c_str(), 0755);
  test::fs::copy_file(test::ch_run_path(), f.image + "/bin/ch-run");
  const std::string inner = f.dir / "inner";
  test::make_image(inner);
  const Ran ran = f.ch_run({"-b", inner + ":/mnt/0", "--no-passwd", "--no-home", "-u54321",
                            "-g54321", "--unset-env=HOME", f.image, "--", "ch-run", "/mnt/0", "--",
                            "sh", "-c", "id -un; id -gn; echo $HOME"});
  INFO(ran.err);
  CHECK(ran.out == "ldapuser\nldapgroup\n/home/ldapuser\n");
}

TEST_CASE("the working directory outside does not matter", "[tool]") {
  Fixture f;
  const std::string gone = f.dir / "gone";
  test::fs::create_directory(gone);
  f.options.directory = gone;
  f.options.in_child = [&] { rmdir(gone.c_str()); };
  CHECK(f.script("pwd").out == "/\n");
  const std::string closed = f.dir / "closed";
  test::fs::create_directory(closed);
  f.options.directory = closed;
  f.options.in_child = [&] { chmod(closed.c_str(), 0); };
  CHECK(f.script("pwd").out == "/\n");
}

TEST_CASE("--cd can't lead out of the container", "[tool]") {
  Fixture f;
  f.options.in_child = [] { dup2(open("/", O_RDONLY | O_DIRECTORY), 9); };
  const std::string look = "test -e /bin/busybox && test ! -e ./boot && test ! -e ./usr && pwd";
  for (const char* directory : {"../../../..", "/proc/self/../../..", "/mnt/../.."}) {
    INFO(directory);
    CHECK(f.script(look, {"--cd", directory}).out == "/\n");
  }
  // A descriptor of the host's root is closed before the command, but not yet at --cd.
  const Ran by_descriptor = f.script("test ! -e ./boot", {"--cd=/proc/self/fd/9"});
  INFO(by_descriptor.err);
  CHECK(by_descriptor.status == 31);
  CHECK(contains(by_descriptor.err, "link of /proc"));
}

TEST_CASE("image and paths may be relative, and links", "[tool]") {
  Fixture f;
  f.options.directory = f.dir.path();
  CHECK(f.ch_run({"image", "--", "echo", "x"}).out == "x\n");
  CHECK(f.ch_run({"./image/", "--", "echo", "x"}).out == "x\n");
  CHECK(f.ch_run({"image/../image", "--", "echo", "x"}).out == "x\n");
  test::fs::create_symlink("image", f.dir / "link");
  CHECK(f.ch_run({"link", "--", "echo", "x"}).out == "x\n");
  test::write_file(f.home + "/name", "home");
  CHECK(f.ch_run({"-b", "home", "link", "--", "cat", "/mnt/0/name"}).out == "home");
  f.options.directory = f.image;
  for (const char* way : {"detached", "attached", "classic"}) {
    INFO(way);
    CHECK(f.ch_run({std::string("--assembly=") + way, ".", "--", "echo", "x"}).out == "x\n");
    CHECK(f.ch_run({std::string("--assembly=") + way, "-b", "../home", ".", "--", "cat",
                    "/mnt/0/name"})
              .out == "home");
  }
}

TEST_CASE("signals are as the caller left them", "[tool]") {
  Fixture f;
  f.options.in_child = [] {
    for (const int s : {SIGHUP, SIGINT, SIGPIPE, SIGCHLD}) signal(s, SIG_IGN);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, nullptr);
  };
  const Ran inside = f.ch_run({f.image, "--", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"});
  const Ran outside = run({"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"}, f.options);
  CHECK(inside.out == outside.out);
  const Ran with_init = f.ch_run({"--namespaces=pid", f.image, "--", "grep", "-E",
                                  "^Sig(Blk|Ign)", "/proc/self/status"});
  CHECK(with_init.out == outside.out);
}

TEST_CASE("every signal to ch-run is a signal to the command", "[tool]") {
  const Fixture f;
  // With the same shell outside and inside: shells differ in what they make of signals.
  const std::string script = "for s in HUP INT USR1 USR2 TERM ALRM; do \"$@\" sh -c "
                             "\"kill -$s \\$\\$\"; echo $s $?; done";
  const Ran direct = run({"sh", "-c", script, "sh", f.image + "/bin/busybox"});
  const Ran ran = run({"sh", "-c", script, "sh", test::ch_run_path(), f.image, "--"}, f.options);
  CHECK(ran.out == direct.out);
}

TEST_CASE("an image on a read-only, nosuid, nodev mount runs, and takes an overlay", "[tool]") {
  const Fixture f;
  const std::string place = f.dir / "place";
  test::fs::create_directory(place);
  const auto with = [&](std::vector<std::string> options, const std::string& command) {
    std::vector<std::string> argv = {"unshare", "-Urm", "sh", "-c",
                                     "ch_run=$1 place=$2 image=$3; shift 3; "
                                     "mount -t tmpfs none $place && cp -a $image/. $place && "
                                     "mount -o remount,bind,ro,nosuid,nodev $place && "
                                     "exec $ch_run \"$@\"",
                                     "sh", test::ch_run_path(), place, f.image};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.insert(argv.end(), {place, "--", "sh", "-c", command});
    return run(argv, f.options);
  };
  INFO(with({}, "true").err);
  CHECK(with({}, "grep ' / ' /proc/self/mounts | grep -c 'ro,nosuid,nodev'").out == "1\n");
  CHECK(with({"-b", f.home + ":/new"}, "echo made > /new/x; test -d /new").status == 0);
  CHECK(with({"-W"}, "echo made > /x; cat /x").out == "made\n");
  CHECK(with({"--overlay", f.dir / "layer"}, "echo made > /x; cat /x").out == "made\n");
  CHECK(with({"-w"}, "touch /x").status != 0);  // the host's read-only is not ours to lift
}

TEST_CASE("the layer of an overlay may lie on disk or in memory", "[tool]") {
  const Fixture f;
  for (const char* place : {"/var/tmp", "/dev/shm"}) {
    if (access(place, W_OK) != 0) continue;
    std::string name = std::string(place) + "/charlie-layer.XXXXXX";
    REQUIRE(mkdtemp(name.data()) != nullptr);
    const Ran ran = f.script("echo x >> /kept; mkdir -p /d/e; rm -r /mnt; cat /kept",
                             {"--overlay", name});
    INFO(place << ": " << ran.err);
    CHECK(ran.out == "x\n");
    CHECK(f.script("test -d /d/e && test ! -e /mnt && cat /kept", {"--overlay", name}).out ==
          "x\n");
    run({"chmod", "-R", "u+rwx", name});
    test::fs::remove_all(name);
  }
}

TEST_CASE("a container in a container in a container", "[tool]") {
  STATIC_TOOLS_ONLY();
  const Fixture f;
  test::fs::copy_file(test::ch_run_path(), f.image + "/bin/ch-run");
  const Ran ran = f.ch_run({"-b", f.image + ":/mnt/0", f.image, "--", "ch-run", "-b", "/mnt/0",
                            "/mnt/0", "--", "ch-run", "-u0", "-g0", "/mnt/0", "--", "sh", "-c",
                            "id -u; cat /proc/self/uid_map; ls -d /proc/self/fd/9 2>&1"});
  INFO(ran.err);
  CHECK(ran.out.rfind("0\n", 0) == 0);
  CHECK(contains(ran.out, "No such file"));
}

TEST_CASE("an image with nothing but a program runs, and the rest is provided", "[tool]") {
  const Fixture f;
  const std::string bare = f.dir / "bare";
  for (const char* d : {"dev", "proc", "sys"}) test::fs::create_directories(bare + "/" + d);
  test::fs::copy_file(f.image + "/bin/busybox", bare + "/busybox");
  const Ran ran = f.ch_run({bare, "--", "/busybox", "sh", "-c", "/busybox id -u; /busybox ls /"});
  INFO(ran.err);
  CHECK(ran.out.rfind(std::to_string(geteuid()) + "\n", 0) == 0);
  CHECK(contains(ran.out, "home\n"));
  CHECK_FALSE(test::fs::exists(bare + "/home"));
}

TEST_CASE("links in place of the usual mount points stay in the image", "[tool]") {
  const Fixture f;
  const std::string canary = f.dir / "canary";
  test::fs::create_directory(canary);
  const char* const names[] = {"dev", "proc", "sys", "tmp", "home", "mnt"};
  SECTION("absolute and relative links to other places of the image work") {
    test::fs::create_directory(f.image + "/real");
    for (const char* name : names) {
      const std::string from = f.image + "/" + name;
      test::fs::rename(from, f.image + "/real/" + name);
      const bool absolute = name[0] < 'm';
      test::fs::create_symlink((absolute ? "/real/" : "real/") + std::string(name), from);
    }
    const Ran ran = f.script("test -c /real/dev/null && test -d /proc/self && touch $HOME/x && "
                             "ls -d /real/proc/self/ns && test -e /mnt/0/x",
                             {"-b", f.home});
    INFO(ran.err);
    CHECK(ran.out == "/real/proc/self/ns\n");
  }
  SECTION("links to the host end in the image") {
    for (const char* name : names) {
      const std::string from = f.image + "/" + name;
      test::fs::remove_all(from);
      test::fs::create_symlink(canary, from);
      const Ran ran = f.script("true", {"-b", f.home});
      INFO(name << ": " << ran.err);
      CHECK((ran.status == 0 || ran.status == 31));
      CHECK(test::fs::is_empty(canary));
      test::fs::remove(from);
      test::fs::create_directories(f.image + "/mnt/0");
      test::fs::create_directory(from);
    }
  }
}

TEST_CASE("no mount reaches a host whose mounts are shared", "[tool]") {
  const Fixture f;
  const std::string script =
      "cat /proc/self/mountinfo > $2/before; $1 -w -b $3 $4 -- true && "
      "$1 -W -b $3:/new $4 -- grep -cE ' (shared|master):' /proc/self/mountinfo; "
      "cat /proc/self/mountinfo > $2/after";
  const Ran ran = run({"unshare", "-Urm", "--propagation", "shared", "sh", "-c", script, "sh",
                       test::ch_run_path(), f.dir.path(), f.home, f.image},
                      f.options);
  INFO(ran.err);
  CHECK(ran.out == "0\n");
  const std::string before = test::read_file(f.dir / "before");
  CHECK(contains(before, " shared:"));
  CHECK(test::read_file(f.dir / "after") == before);
}

TEST_CASE("-vvv prints the environment too", "[tool]") {
  const Fixture f;
  const Ran ran = f.ch_run({"-vvv", f.image, "--", "true"});
  CHECK(contains(ran.err, "ODD=a=b\n"));
  CHECK(contains(ran.err, "CH_RUNNING=Weird Al Yankovic\n"));
}
