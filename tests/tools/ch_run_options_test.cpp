// SPDX-License-Identifier: Apache-2.0
//
// ch-run's options beyond the first: overlays, environment, image metadata, namespaces,
// seccomp, descriptors, configuration files, and what it tells about itself.

#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <thread>

#include "tests/support/ch_run.hpp"

namespace {

using test::contains;
using test::Ran;
using test::run;
using test::user_name;
using Fixture = test::ChRun;

std::string all_files(const std::string& root) {
  std::string all;
  for (const auto& e : test::fs::recursive_directory_iterator(root))
    all += e.path().string() + "\n";
  return all;
}

std::string tty(const std::string& command) {
  return run({"script", "-qec", command, "/dev/null"}).out;
}

}  // namespace

// ---- files and directories ------------------------------------------------------------

TEST_CASE("a missing mount point appears, and the image stays as it is", "[tool]") {
  const Fixture f;
  const std::string data = f.dir / "data";
  test::fs::create_directory(data);
  test::write_file(data + "/name", "data");
  const std::string before = all_files(f.image);
  for (const char* way : {"detached", "attached"}) {
    INFO(way);
    const std::string assembly = std::string("--assembly=") + way;
    CHECK(f.script("cat /new/deep/name", {assembly, "-b", data + ":/new/deep"}).out == "data");
    CHECK(f.script("cat /etc/new/file", {assembly, "-b", data + "/name:/etc/new/file"}).out ==
          "data");
    CHECK(f.script("cat /a/name /b/name; test -f /c; ls /bin/busybox",
                   {assembly, "-b", data + ":/a", "-b", data + ":/b", "-b", data + "/name:/c"})
              .out == "datadata/bin/busybox\n");
    const Ran write = f.script("touch /x", {assembly, "-b", data + ":/new"});
    CHECK(contains(write.err, "Read-only file system"));
  }
  CHECK(all_files(f.image) == before);
}

TEST_CASE("a missing mount point works in an image of another user's", "[tool]") {
  const Fixture f;
  const std::string data = f.dir / "data";
  test::fs::create_directory(data);
  test::write_file(data + "/name", "data");
  // The image's directories are read-only, as in an image that a site provides.
  for (const char* d : {"", "/etc", "/mnt"}) REQUIRE(chmod((f.image + d).c_str(), 0555) == 0);
  CHECK(f.script("cat /new/deep/name", {"-b", data + ":/new/deep"}).out == "data");
  CHECK(f.script("cat /etc/new/name", {"-b", data + ":/etc/new"}).out == "data");
  for (const char* d : {"", "/etc", "/mnt"}) REQUIRE(chmod((f.image + d).c_str(), 0755) == 0);
}

TEST_CASE("a missing mount point behind links is made where they lead, in the image", "[tool]") {
  const Fixture f;
  // Not below /tmp, which is the host's in the container.
  test::fs::create_symlink("/charlie-elsewhere/made", f.image + "/etc/absolute");
  test::fs::create_symlink("../../../../../../charlie-elsewhere/made2", f.image + "/etc/relative");
  test::write_file(f.home + "/name", "here");
  const Ran ran = f.script("cat /charlie-elsewhere/made/name /etc/relative/name",
                           {"-b", f.home + ":/etc/absolute", "-b", f.home + ":/etc/relative"});
  INFO(ran.err);
  CHECK(ran.out == "herehere");
  CHECK_FALSE(test::fs::exists("/charlie-elsewhere"));
  CHECK_FALSE(test::fs::exists(f.image + "/charlie-elsewhere"));
}

TEST_CASE("nothing is created in a bind of the host", "[tool]") {
  const Fixture f;
  const std::string data = f.dir / "data";
  test::fs::create_directory(data);
  const Ran ran = f.script("true", {"-b", data + ":/mnt/0", "-b", "/usr:/mnt/0/below"});
  CHECK(ran.status == 31);
  CHECK(contains(ran.err, "ch-run: error: can't bind /mnt/0/below"));
  CHECK(test::fs::is_empty(data));
  const Ran writable = f.script("true", {"-w", "-b", data + ":/mnt/0", "-b", "/usr:/mnt/0/below"});
  CHECK(writable.status == 31);
  CHECK(contains(writable.err, "the path is in something mounted earlier"));
  CHECK(test::fs::is_empty(data));
}

TEST_CASE("with --write, missing mount points are made in the image", "[tool]") {
  const Fixture f;
  CHECK(f.script("ls /new", {"-w", "-b", f.home + ":/new", "-b", "/etc/passwd:/newfile"}).status ==
        0);
  CHECK(test::fs::is_directory(f.image + "/new"));
  CHECK(test::fs::is_regular_file(f.image + "/newfile"));
}

TEST_CASE("an image without /home and /tmp runs", "[tool]") {
  const Fixture f;
  test::fs::remove(f.image + "/home");
  test::fs::remove(f.image + "/tmp");
  CHECK(f.script("touch $HOME/x && test -d /tmp").status == 0);
  CHECK(test::fs::exists(f.home + "/x"));
  CHECK_FALSE(test::fs::exists(f.image + "/home"));
}

TEST_CASE("--write-fake lets the command write, and discards the changes", "[tool]") {
  const Fixture f;
  const std::string before = all_files(f.image);
  CHECK(
      f.script("echo a > /new; echo b >> /etc/x; rm /bin/ls; cat /new; ls / 2>&1; mkdir /d", {"-W"})
          .status == 0);
  CHECK(f.script("test ! -e /new && ls /bin/ls").out == "/bin/ls\n");
  CHECK(all_files(f.image) == before);
  const Ran full = f.script("dd if=/dev/zero of=/big bs=1M count=20 2>&1", {"--write-fake=4m"});
  CHECK(full.status != 0);
  CHECK(contains(full.out + full.err, "No space left on device"));
  for (const char* size : {"lots", "", "12x", "5%%", "-1", "m"}) {
    const Ran bad = f.script("true", {"--write-fake=" + std::string(size)});
    CHECK(bad.status == 64);
    CHECK(contains(bad.err, "takes a size, such as 500m"));
  }
  CHECK(f.script("true", {"--write-fake=64k"}).status == 0);
}

TEST_CASE("--overlay keeps what was written, outside of the image", "[tool]") {
  const Fixture f;
  const std::string before = all_files(f.image);
  const std::string layer = f.dir / "layer";  // does not exist yet
  for (const char* way : {"detached", "attached"}) {
    const std::string assembly = std::string("--assembly=") + way;
    CHECK(f.script("echo a >> /kept; rm -f /bin/wc", {assembly, "--overlay", layer}).status == 0);
  }
  CHECK(f.script("cat /kept; test ! -e /bin/wc", {"--overlay=" + layer}).out == "a\na\n");
  CHECK(f.script("test ! -e /kept").status == 0);
  CHECK(all_files(f.image) == before);
  const Ran nowhere = f.script("true", {"--overlay=/nowhere/at/all"});
  CHECK(nowhere.status == 31);
  CHECK(contains(nowhere.err, "can't overlay the image with"));
}

TEST_CASE("an overlay on a kernel without it is an error that says so", "[tool]") {
  const Fixture f;
  const Ran ran = f.script("true", {"--assembly=classic", "-W"});
  CHECK(ran.status == 31);
  CHECK(contains(ran.err, "cause: overlays without privilege need Linux 5.12"));
  const Ran missing = f.script("true", {"--assembly=classic", "-b", f.home + ":/new"});
  CHECK(missing.status == 31);
  CHECK(contains(missing.err, "the image has no such mount point"));
}

TEST_CASE("--no-passwd keeps the image's accounts", "[tool]") {
  const Fixture f;
  test::write_file(f.image + "/etc/passwd", "x:x:5:5::/:/bin/sh\n");
  CHECK(f.script("cat /etc/passwd", {"--no-passwd"}).out == "x:x:5:5::/:/bin/sh\n");
  CHECK(contains(f.script("cat /etc/passwd").out, user_name() + ":x:"));
}

TEST_CASE("hostile /etc/passwd, group and hosts in an image do no harm", "[tool]") {
  const Fixture f;
  const std::string canary = f.dir / "canary";
  test::write_file(canary, "host");
  SECTION("links to the host") {
    for (const char* name : {"/etc/passwd", "/etc/group", "/etc/hosts"}) {
      test::fs::remove(f.image + name);
      test::fs::create_symlink(canary, f.image + name);
    }
  }
  SECTION("FIFOs") {
    for (const char* name : {"/etc/passwd", "/etc/group", "/etc/hosts"}) {
      test::fs::remove(f.image + name);
      REQUIRE(mkfifo((f.image + name).c_str(), 0644) == 0);
    }
  }
  const Ran ran = f.script("id -u");
  INFO(ran.err);
  CHECK(ran.out == std::to_string(geteuid()) + "\n");
  CHECK(test::read_file(canary) == "host");
}

TEST_CASE("flags that the host has set on a mount stay", "[tool]") {
  const Fixture f;
  // A mount namespace of our own, where the source carries flags that ch-run may not drop.
  const std::string script =
      "mkdir -p \"$2\" && mount -t tmpfs -o nosuid,nodev,noexec,noatime none \"$2\" && "
      "exec \"$1\" -b \"$2\":/mnt/0 -b \"$2\":/mnt/1:ro \"$3\" -- cat /proc/self/mounts";
  const Ran ran = run(
      {"unshare", "-Urm", "sh", "-c", script, "sh", test::ch_run_path(), f.dir / "source", f.image},
      f.options);
  INFO(ran.status << ran.err << ran.out);
  for (const char* expected : {" /mnt/0 tmpfs rw,nosuid,nodev,noexec,noatime",
                               " /mnt/1 tmpfs ro,nosuid,nodev,noexec,noatime"})
    CHECK(contains(ran.out, expected));
}

// ---- environment ------------------------------------------------------------------------

TEST_CASE("--set-env and --unset-env act in the order given", "[tool]") {
  const Fixture f;
  const auto env = [&](std::vector<std::string> options, const std::string& name) {
    return f.script("echo \"${" + name + "-unset}\"", options).out;
  };
  CHECK(env({"--set-env=NEW=a b"}, "NEW") == "a b\n");
  CHECK(env({"--set-env=NEW=$HOME/x"}, "NEW") == "/home/" + user_name() + "/x\n");
  CHECK(env({"--env-no-expand", "--set-env=NEW=$HOME/x"}, "NEW") == "$HOME/x\n");
  CHECK(env({"--set-env=NEW=1", "--unset-env=N*"}, "NEW") == "unset\n");
  CHECK(env({"--unset-env=N*", "--set-env=NEW=1"}, "NEW") == "1\n");
  CHECK(env({"--unset-env=@(ODD|EVEN)"}, "ODD") == "unset\n");
  CHECK(env({"--unset-env=*"}, "CH_RUNNING") == "Weird Al Yankovic\n");
  CHECK(env({"--set-env=CH_RUNNING=no"}, "CH_RUNNING") == "Weird Al Yankovic\n");
  CHECK(env({"--set-env=PATH=/x"}, "PATH") == "/x:/bin\n");
}

TEST_CASE("--set-env reads files of the host", "[tool]") {
  const Fixture f;
  const std::string lines = f.dir / "lines";
  const std::string records = f.dir / "records";
  test::write_file(lines, "A=1\n\nB='two words'\nPATHS=$PATH:/more\n");
  test::write_file(records, std::string("A=new\nline") + '\0' + "C=3" + '\0');
  CHECK(f.script("echo $A-$B-$PATHS", {"--set-env=" + lines}).out ==
        "1-two words-/usr/bin:/bin:/more\n");
  CHECK(f.script("echo \"$A-$C\"", {"--set-env0=" + records}).out == "new\nline-3\n");
  const Ran missing = f.script("true", {"--set-env=" + std::string(f.dir / "none")});
  CHECK(missing.status == 31);
  CHECK(contains(missing.err, "can't read " + std::string(f.dir / "none")));
  CHECK(contains(missing.err, "remedy: --set-env takes NAME=VALUE, or a file of the host"));
  test::write_file(lines, "A=1\nnonsense\n");
  const Ran bad = f.script("true", {"--set-env=" + lines});
  CHECK(bad.status == 64);
  CHECK(contains(bad.err, "no delimiter: " + lines + ":2"));
  const Ran glob = f.script("true", {"--unset-env="});
  CHECK(glob.status == 64);
  CHECK(contains(glob.err, "GLOB must have non-zero length"));
}

TEST_CASE("hostile environments pass through unharmed", "[tool]") {
  Fixture f;
  f.options.environment.insert(f.options.environment.end(),
                               {"new\nline=1", "=empty=name", "caf\xc3\xa9=2", "bad\xff=3",
                                "double=1", "double=2", "noequals"});
  const Ran ran = f.ch_run({f.image, "--", "cat", "/proc/self/environ"});  // no shell between
  CHECK(ran.status == 0);
  for (const char* expected : {"new\nline=1", "=empty=name", "caf\xc3\xa9=2", "bad\xff=3"})
    CHECK(contains(ran.out, std::string(expected) + '\0'));
  for (int i = 0; i < 20000; ++i) f.options.environment.push_back("V" + std::to_string(i) + "=x");
  CHECK(f.script("echo $V19999").out == "x\n");
}

// ---- image metadata -----------------------------------------------------------------------

TEST_CASE("the image's environment, directory and command are honoured", "[tool]") {
  const Fixture f;
  test::fs::create_directory(f.image + "/ch");
  test::write_file(f.image + "/ch/environment", "FROM_IMAGE=a b\nLITERAL=$HOME\nPATH=/opt:/bin\n");
  const std::string record = std::string("directory=/mnt/1") + '\0' + "entrypoint=sh" + '\0' +
                             "entrypoint=-c" + '\0' + "cmd=echo default; pwd" + '\0';
  test::write_file(f.image + "/ch/process", record);
  CHECK(f.script("echo $FROM_IMAGE; echo $LITERAL; echo $PATH; pwd").out ==
        "a b\n$HOME\n/opt:/bin\n/mnt/1\n");
  CHECK(f.ch_run({f.image}).out == "default\n/mnt/1\n");
  CHECK(f.script("echo ${FROM_IMAGE-unset}", {"--no-image-env"}).out == "unset\n");
  CHECK(f.script("echo $LITERAL", {"--set-env"}).out == "/home/" + user_name() + "\n");
  CHECK(f.script("echo $FROM_IMAGE", {"--set-env=FROM_IMAGE=mine"}).out == "mine\n");
  CHECK(f.script("pwd", {"--cd=/etc"}).out == "/etc\n");
  SECTION("a directory that is not there does no harm") {
    test::write_file(f.image + "/ch/process", std::string("directory=/nowhere") + '\0');
    CHECK(f.script("pwd").out == "/\n");
  }
  SECTION("links to the host are not followed") {
    const std::string secret = f.dir / "secret";
    test::write_file(secret, "SECRET=1\n");
    test::fs::remove(f.image + "/ch/environment");
    test::fs::create_symlink(secret, f.image + "/ch/environment");
    CHECK(f.script("echo ${SECRET-unset}").out == "unset\n");
    test::fs::remove_all(f.image + "/ch");
    test::fs::create_symlink(f.dir.path(), f.image + "/ch");
    test::fs::rename(secret, f.dir / "environment");
    CHECK(f.script("echo ${SECRET-unset}").out == "unset\n");
  }
  SECTION("a FIFO does not block") {
    test::fs::remove(f.image + "/ch/environment");
    REQUIRE(mkfifo((f.image + "/ch/environment").c_str(), 0644) == 0);
    CHECK(f.script("echo x").out == "x\n");
  }
}

TEST_CASE("without a command, someone at a terminal gets a shell", "[tool]") {
  const Fixture f;
  SKIP_UNLESS(run({"sh", "-c", "command -v script"}).status == 0, "script(1) is not installed");
  const std::string out = tty("echo 'echo in $CH_RUNNING; exit' | script -qec '" +
                              test::ch_run_path() + " " + f.image + "' /dev/null");
  CHECK(contains(out, "in Weird Al Yankovic"));
}

// ---- isolation ---------------------------------------------------------------------------

TEST_CASE("--namespaces adds namespaces, and a pid namespace an init", "[tool]") {
  const Fixture f;
  const auto differs = [&](const std::string& kind, const std::string& options) {
    const std::string own = test::fs::read_symlink("/proc/self/ns/" + kind);
    return f.script("readlink /proc/self/ns/" + kind, {options}).out != own + "\n";
  };
  for (const char* kind : {"ipc", "uts", "net", "cgroup"}) {
    INFO(kind);
    CHECK(differs(kind, std::string("--namespaces=") + kind));
    CHECK_FALSE(differs(kind, "--namespaces=mnt"));
  }
  CHECK(f.script("echo $$; readlink /proc/self/ns/time", {"--namespaces=pid,time"})
            .out.rfind("2\n", 0) == 0);
  CHECK(differs("time", "--namespaces=time"));
  CHECK(f.script("cat /proc/sys/kernel/hostname", {"--hostname=box"}).out == "box\n");
  const Ran bad = f.script("true", {"--namespaces=pid,moon"});
  CHECK(bad.status == 64);
  CHECK(contains(bad.err, "--namespaces takes a list of pid, ipc, uts, net, cgroup, time"));
  CHECK(f.script("true", {"--hostname=" + std::string(65, 'x')}).status == 64);
}

TEST_CASE("init passes on the command's exit status", "[tool]") {
  const Fixture f;
  for (const int status : {0, 3, 255})
    CHECK(f.script("exit " + std::to_string(status), {"--namespaces=pid"}).status == status);
  for (const int signal : {SIGTERM, SIGKILL, SIGINT})
    CHECK(f.script("kill -" + std::to_string(signal) + " $$", {"--namespaces=pid"}).status ==
          128 + signal);
  const Ran missing = f.ch_run({"--namespaces=pid", f.image, "--", "nowhere"});
  CHECK(missing.status == 49);
  CHECK(contains(missing.err, "can't execute nowhere"));
  const Ran no_bind = f.script("true", {"--namespaces=pid", "-b", "/nowhere"});
  CHECK(no_bind.status == 31);
}

TEST_CASE("init reaps orphans, and ends with the command", "[tool]") {
  const Fixture f;
  const Ran ran = f.script(
      "for i in 1 2 3 4 5; do (sleep 0.01 &) ; done; sleep 0.3; "
      "grep -l '^State:.*zombie' /proc/[0-9]*/status 2>/dev/null | wc -l; "
      "sleep 1000 & echo done",
      {"--namespaces=pid"});
  CHECK(ran.out == "0\ndone\n");
}

TEST_CASE("init forwards signals to the command, and killing ch-run ends all", "[tool]") {
  const Fixture f;
  const std::string marker = f.home + "/ready";
  const auto start = [&](const std::string& script) {
    const pid_t pid = fork();
    if (pid == 0) {
      const std::string ch_run = test::ch_run_path();
      setenv("HOME", f.home.c_str(), 1);
      execl(ch_run.c_str(), "ch-run", "--namespaces=pid", f.image.c_str(), "--", "sh", "-c",
            script.c_str(), nullptr);
      _exit(127);
    }
    while (!test::fs::exists(marker)) std::this_thread::yield();
    return pid;
  };
  int status = 0;
  SECTION("a signal reaches the command") {
    const pid_t pid = start("trap 'exit 9' USR1; touch $HOME/ready; while :; do sleep 0.02; done");
    kill(pid, SIGUSR1);
    REQUIRE(waitpid(pid, &status, 0) == pid);
    CHECK(WEXITSTATUS(status) == 9);
  }
  SECTION("SIGKILL of ch-run leaves nothing running") {
    const pid_t pid = start("touch $HOME/ready; while :; do sleep 0.02; touch $HOME/alive; done");
    kill(pid, SIGKILL);
    REQUIRE(waitpid(pid, &status, 0) == pid);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    test::fs::remove(f.home + "/alive");
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    CHECK_FALSE(test::fs::exists(f.home + "/alive"));
  }
}

TEST_CASE("--seccomp lets what needs root appear to succeed", "[tool]") {
  const Fixture f;
  test::fs::create_symlink("busybox", f.image + "/bin/chown");
  test::fs::create_symlink("busybox", f.image + "/bin/mknod");
  const std::string script = "touch /f && chown 12:34 /f && mknod /d c 1 3 && echo well";
  CHECK(f.script(script, {"-W", "-u0", "-g0", "--seccomp"}).out == "well\n");
  CHECK(f.script(script, {"-W", "-u0", "-g0"}).status != 0);
}

TEST_CASE("the command has no capability outside its namespace", "[tool]") {
  const Fixture f;
  const std::string script = "grep -E '^(Cap(Inh|Prm|Eff|Amb)|NoNewPrivs)' /proc/self/status";
  if (geteuid() != 0)
    CHECK(f.script(script).out ==
          "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
          "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\n");
  const std::string as_root = f.script(script, {"-u0"}).out;
  CHECK(contains(as_root, "CapInh:\t0000000000000000\n"));
  CHECK(contains(as_root, "CapAmb:\t0000000000000000\n"));
  CHECK(contains(as_root, "NoNewPrivs:\t1\n"));
}

TEST_CASE("supplementary groups are kept, and setgroups is denied", "[tool]") {
  const Fixture f;
  CHECK(f.script("cat /proc/self/setgroups").out == "deny\n");
  CHECK(f.script("grep ^Groups /proc/self/status | wc -w").out ==
        run({"sh", "-c", "grep ^Groups /proc/self/status | wc -w"}).out);
}

TEST_CASE("requested descriptors stay open", "[tool]") {
  Fixture f;
  f.options.in_child = [] {
    for (const int fd : {3, 5, 7, 9}) dup2(0, fd);
  };
  const std::string list =
      "for d in /proc/self/fd/*; do readlink $d >/dev/null && printf '%s ' ${d##*/}; done";
  CHECK(f.script(list).out == "0 1 2 ");
  CHECK(f.script(list, {"--keep-fd=5"}).out == "0 1 2 5 ");
  CHECK(f.script(list, {"--keep-fd=9", "--keep-fd=3", "--keep-fd=9"}).out == "0 1 2 3 9 ");
  f.options.environment.push_back("PMI_FD=7");
  CHECK(f.script(list).out == "0 1 2 7 ");
  f.options.environment.push_back("MAKEFLAGS= -j2 --jobserver-auth=3,5");
  CHECK(f.script(list).out == "0 1 2 3 5 7 ");
  CHECK(f.script("true", {"--keep-fd=x"}).status == 64);
}

// ---- configuration ---------------------------------------------------------------------------

TEST_CASE("a configuration file adds options, the command line has the last word", "[tool]") {
  Fixture f;
  const std::string file = f.dir / "site.conf";
  f.options.environment.push_back("CH_RUN_CONF=" + file);
  test::write_file(f.home + "/name", "home");
  test::write_file(file, "# site\n\n  bind = x\n");
  const Ran bad = f.script("true");
  CHECK(bad.status == 64);
  CHECK(contains(bad.err, ", in " + file));
  CHECK(contains(bad.err, "--no-conf"));
  test::write_file(file, "# site\n\nbind=" + f.home + ":/mnt/2\nset-env=SITE=yes\r\nno-home\n");
  CHECK(f.script("cat /mnt/2/name; echo $SITE $HOME").out == "homeyes /\n");
  CHECK(f.script("echo $SITE", {"--set-env=SITE=no"}).out == "no\n");
  CHECK(f.script("cat /mnt/0/name", {"-b", f.home}).out == "home");  // the user's first bind
  CHECK(f.script("echo $HOME", {"--home"}).out == "/home/" + user_name() + "\n");
  CHECK(f.script("echo ${SITE-none}", {"--no-conf"}).out == "none\n");
  CHECK(contains(f.ch_run({"--explain", f.image, "--", "true"}).out,
                 "bind " + f.home + " on /mnt/2\n"));
  CHECK(contains(f.ch_run({"--explain", f.image, "--", "true"}).out,
                 "With options from " + file + "; --no-conf leaves them out.\n"));
  for (const char* line : {"explain", "bind=/usr", "nonsense", "write=1", "image"}) {
    INFO(line);
    test::write_file(file, std::string(line) + "\n");
    CHECK(f.script("true").status == 64);
    CHECK(f.ch_run({"--help"}).status == 0);  // which may be needed to fix the file
  }
  test::fs::remove(file);
  const Ran gone = f.script("true");
  CHECK(gone.status == 31);
  CHECK(contains(gone.err, "can't read the configuration " + file));
}

// ---- information --------------------------------------------------------------------------------

TEST_CASE("--feature replies with its exit status", "[tool]") {
  const Fixture f;
  for (const char* yes : {"extglob", "overlayfs", "seccomp", "tmpfs-xattrs"})
    CHECK(f.ch_run({"--feature", yes}).status == 0);
  CHECK(f.ch_run({"--feature=squash"}).status == 1);
  const Ran unknown = f.ch_run({"--feature=warp"});
  CHECK(unknown.status == 64);
  CHECK(contains(unknown.err, "unknown feature"));
}

TEST_CASE("--check says whether this host runs containers", "[tool]") {
  const Fixture f;
  const Ran good = f.ch_run({"--check"});
  CHECK(good.status == 0);
  CHECK(good.out.rfind("  yes  user namespaces\n  yes  mount namespaces\n", 0) == 0);
  const Ran bad = run({"unshare", "-Ur", "sh", "-c",
                       "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$1\" --check", "sh",
                       test::ch_run_path()});
  CHECK(bad.status == 1);
  CHECK(contains(bad.out, "  no   user namespaces: No space left on device (ENOSPC)\n"));
  CHECK(contains(bad.out, "the sysctl user.max_user_namespaces is 0"));
  test::fs::create_symlink(test::ch_run_path(), f.dir / "ch-checkns");
  CHECK(run({f.dir / "ch-checkns"}).out == good.out);
}

TEST_CASE("--time-steps tells how long each step took", "[tool]") {
  const Fixture f;
  const Ran ran = f.script("echo x", {"--time-steps"});
  CHECK(ran.out == "x\n");
  CHECK(contains(ran.err, " us   1  make namespaces: user, mnt\n"));
  CHECK(contains(ran.err, " us  total without the execve\n"));
}

TEST_CASE("--quiet silences step by step", "[tool]") {
  const Fixture f;
  CHECK(f.script("echo out; echo err >&2", {"-q"}).out == "out\n");
  const Ran twice = f.script("echo out; echo err >&2", {"-qq"});
  CHECK(twice.out.empty());
  CHECK(twice.err == "err\n");
  const Ran thrice = f.script("echo out; echo err >&2; exit 4", {"-qqq"});
  CHECK(thrice.out.empty());
  CHECK(thrice.err.empty());
  CHECK(thrice.status == 4);
  CHECK(f.script("true", {"-q", "-v"}).status == 64);
}

TEST_CASE("--color paints labels when asked, NO_COLOR never", "[tool]") {
  Fixture f;
  const std::string red = "\x1b[1;31merror\x1b[0m";
  CHECK(contains(f.ch_run({"--color", "/nowhere", "--", "x"}).err, red));
  CHECK_FALSE(contains(f.ch_run({"/nowhere", "--", "x"}).err, "\x1b"));
  CHECK_FALSE(contains(f.ch_run({"--color=never", "/nowhere", "--", "x"}).err, "\x1b"));
  CHECK(f.script("true", {"--color=mauve"}).status == 64);
  SKIP_UNLESS(run({"sh", "-c", "command -v script"}).status == 0, "script(1) is not installed");
  const std::string command = test::ch_run_path() + " /nowhere -- x";
  CHECK(contains(tty(command), red));
  CHECK_FALSE(contains(tty("NO_COLOR=1 " + command), "\x1b"));
}

TEST_CASE("--ch-ssh shows the ch-ssh beside ch-run", "[tool]") {
  const Fixture f;
  const std::string bin = f.dir / "bin";
  test::fs::create_directory(bin);
  test::fs::copy_file(test::ch_run_path(), bin + "/ch-run");
  const Ran without = run({bin + "/ch-run", "--ch-ssh", f.image, "--", "true"}, f.options);
  CHECK(without.status == 31);
  CHECK(contains(without.err, bin + "/ch-ssh: No such file or directory"));
  test::write_file(bin + "/ch-ssh", "ssh");
  CHECK(
      run({bin + "/ch-run", "--ch-ssh", f.image, "--", "cat", "/usr/bin/ch-ssh"}, f.options).out ==
      "ssh");
}

TEST_CASE("options that contradict each other are refused", "[tool]") {
  const Fixture f;
  CHECK(f.script("true", {"-w", "-W"}).status == 64);
  CHECK(f.script("true", {"-w", "--overlay=/tmp/x"}).status == 64);
}
