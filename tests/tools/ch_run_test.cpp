// SPDX-License-Identifier: Apache-2.0
//
// ch-run from outside, as its users see it: what it does, what it says, how it ends.

#include <sys/stat.h>

#include <csignal>

#include "tests/support/ch_run.hpp"

namespace {

using test::contains;
using test::Ran;
using test::run;
using test::user_name;
using Fixture = test::ChRun;

}  // namespace

TEST_CASE("ch-run runs a command in an image", "[tool]") {
  const Fixture f;
  const Ran ran = f.ch_run({f.image, "--", "echo", "hello"});
  CHECK(ran.out == "hello\n");
  CHECK(ran.err.empty());
  CHECK(ran.status == 0);
}

TEST_CASE("ch-run ends like its command", "[tool]") {
  const Fixture f;
  for (const int status : {0, 1, 7, 31, 49, 126, 127, 255})
    CHECK(f.script("exit " + std::to_string(status)).status == status);
  for (const int signal : {SIGTERM, SIGKILL, SIGINT, SIGSEGV, SIGUSR1})
    CHECK(f.script("kill -" + std::to_string(signal) + " $$").status == 128 + signal);
}

TEST_CASE("ch-run becomes the command: one process, its number and parent unchanged", "[tool]") {
  const Fixture f;
  const Ran ran = run({"sh", "-c", "echo $$; exec \"$@\"", "sh", test::ch_run_path(), f.image, "--",
                       "sh", "-c", "echo $$"},
                      f.options);
  const auto line = ran.out.find('\n');
  CHECK(ran.out.substr(0, line) + "\n" == ran.out.substr(line + 1));
}

TEST_CASE("the container has its own user and mount namespaces and shares the others", "[tool]") {
  const Fixture f;
  const std::string list =
      "for n in user mnt pid net ipc uts cgroup time; do "
      "readlink /proc/self/ns/$n; done";
  const std::string inside = f.script(list).out;
  const std::string outside = run({"sh", "-c", list}).out;
  std::vector<std::string> in;
  std::vector<std::string> out;
  for (auto [text, lines] : {std::pair(&inside, &in), std::pair(&outside, &out)})
    for (std::size_t at = 0; at < text->size(); at = text->find('\n', at) + 1)
      lines->push_back(text->substr(at, text->find('\n', at) - at));
  REQUIRE(in.size() == 8);
  REQUIRE(out.size() == 8);
  CHECK(in[0] != out[0]);
  CHECK(in[1] != out[1]);
  for (int i = 2; i < 8; ++i) CHECK(in[i] == out[i]);
}

TEST_CASE("default mounts make the container part of its host", "[tool]") {
  const Fixture f;
  const std::string user = user_name();
  test::write_file(f.home + "/notes", "from home");
  CHECK(f.script("test -c /dev/null && test -d /proc/self && test -d /sys/kernel").status == 0);
  CHECK(f.script("cat /home/" + user + "/notes").out == "from home");
  CHECK(f.script("echo $HOME; pwd").out == "/home/" + user + "\n/\n");
  CHECK(f.script("cat /etc/hosts").out == test::read_file("/etc/hosts"));
  CHECK(f.script("cat /etc/resolv.conf").out == test::read_file("/etc/resolv.conf"));
  const test::TempDir in_tmp;
  if (in_tmp.path().string().rfind("/tmp/", 0) == 0)
    CHECK(f.script("ls -d " + in_tmp.path().string()).status == 0);
}

TEST_CASE("what is read-only stays as it is, and home is writable", "[tool]") {
  const Fixture f;
  for (const char* path : {"/new", "/etc/new", "/etc/hosts", "/etc/resolv.conf", "/etc/passwd",
                           "/etc/group", "/etc/machine-id", "/bin/new"}) {
    INFO(path);
    const Ran ran = f.script(std::string("echo x >> ") + path);
    CHECK(ran.status != 0);
    // An ordinary user is stopped by the mode of the host's files before that.
    CHECK((contains(ran.err, "Read-only file system") || contains(ran.err, "Permission denied")));
  }
  const std::string mounts = f.script("cat /proc/self/mounts").out;
  for (const char* path : {"/", "/etc/hosts", "/etc/resolv.conf", "/etc/passwd", "/etc/group"}) {
    INFO(path);
    if (!test::fs::exists(path)) continue;  // a host may lack /etc/hosts
    const auto at = mounts.find(std::string(" ") + path + " ");
    REQUIRE(at != std::string::npos);
    const std::string line = mounts.substr(at, mounts.find('\n', at) - at);
    CHECK(contains(line, " ro,"));
  }
  CHECK(f.script("echo x > $HOME/new").status == 0);
  CHECK(test::read_file(f.home + "/new") == "x\n");
}

TEST_CASE("--write lets the container change the image", "[tool]") {
  const Fixture f;
  CHECK(f.script("echo x > /new", {"-w"}).status == 0);
  CHECK(test::read_file(f.image + "/new") == "x\n");
  if (test::fs::exists("/etc/hosts"))  // still the host's
    CHECK(f.script("echo x >> /etc/hosts", {"--write"}).status != 0);
}

TEST_CASE("--bind shows host directories and files", "[tool]") {
  const Fixture f;
  const std::string a = f.dir / "a";
  const std::string b = f.dir / "b:c";
  for (const auto& d : {a, b}) {
    test::fs::create_directory(d);
    test::write_file(d + "/name", d);
  }
  CHECK(f.script("cat /mnt/0/name", {"-b", a}).out == a);
  CHECK(f.script("cat /mnt/0/name /mnt/1/name", {"-b", a, "--bind=" + a}).out == a + a);
  CHECK(f.script("cat /mnt/2/name", {"-b", a + ":/mnt/2"}).out == a);
  CHECK(f.script("cat /mnt/2/name", {"-d", a, "-b", a + ":/mnt/2"}).out == a);
  CHECK(f.script("cat /mnt/0/name", {"-b", std::string(f.dir / "b\\:c")}).out == b);
  CHECK(f.script("cat /etc/machine-id", {"-b", a + "/name:/etc/machine-id"}).out == a);
  CHECK(f.script("echo x > /mnt/0/new", {"-b", a}).status == 0);
  CHECK(test::read_file(a + "/new") == "x\n");
  const Ran read_only = f.script("echo y > /mnt/1/new", {"-b", a + ":/mnt/1:ro"});
  CHECK(read_only.status != 0);
  CHECK(contains(read_only.err, "Read-only"));
  CHECK(test::read_file(a + "/new") == "x\n");
}

TEST_CASE("mount points are made in file systems of the container's own", "[tool]") {
  const test::ChRun f;
  test::fs::create_directory(f.dir / "source");
  test::write_file(f.dir / "source/file", "text\n");
  const std::string source = f.dir / "source";
  for (const char* way : {"detached", "attached", "classic"})
    for (const char* layer : {"--home", "-w", "-W"}) {
      const auto ran = f.script(
          "cat /home/other/file /home/deep/er /home/copy /tmp/y/file; readlink /tmp/link",
          {"--assembly=" + std::string(way), layer, "-t", "-b", source + ":/home/other", "-b",
           source + "/file:/home/deep/er:ro", "--copy=" + source + "/file:/home/copy", "-b",
           source + ":/tmp/y", "--symlink=target:/tmp/link"});
      INFO(way << ' ' << layer << ": " << ran.err);
      if (ran.status != 0 && std::string(way) == "classic") continue;  // no overlay there
      CHECK(ran.out == "text\ntext\ntext\ntext\ntarget\n");
      CHECK(test::fs::is_empty(f.image + "/home"));
      CHECK(test::fs::is_empty(f.image + "/tmp"));
    }
  const auto with_proc =
      f.script("cat /tmp/y/file", {"-t", "--namespaces=pid", "-b", source + ":/tmp/y"});
  INFO(with_proc.err);
  CHECK(with_proc.out == "text\n");
  // Not where a later bind covers them: nothing is made in the user's directory.
  for (const char* place : {"/tmp", "/tmp/", "/home", "//home"}) {
    const auto ran = f.script(
        "true", {"-t", "-b", source + ':' + place, "-b", source + "/file:" + place + "/not-there"});
    INFO(place << ": " << ran.err);
    CHECK(ran.status == 31);
    CHECK(contains(ran.err, "cause: the path is in something mounted earlier"));
    CHECK_FALSE(test::fs::exists(f.dir / "source/not-there"));
  }
}

TEST_CASE("senseless binds are usage errors", "[tool]") {
  const Fixture f;
  const std::pair<const char*, const char*> cases[] = {
      {"", "no source in --bind"},
      {":/mnt/0", "no source in --bind"},
      {"/tmp:mnt", "the destination must be an absolute path"},
      {"/tmp:/", "the destination can't be /"},
      {"/tmp:///", "the destination can't be /"},
      {"/tmp:/mnt/0:nope", "there can only be ro or rw"},
      {"/tmp:/mnt/0:ro:x", "too many colons"},
  };
  for (const auto& [bind, message] : cases) {
    INFO(bind);
    const Ran ran = f.script("true", {"-b", bind});
    CHECK(ran.status == 64);
    CHECK(contains(ran.err, message));
    CHECK(contains(ran.err, "remedy: "));
    CHECK(ran.out.empty());
  }
}

TEST_CASE("--cd starts in that directory", "[tool]") {
  const Fixture f;
  CHECK(f.script("pwd", {"-c", "/mnt/1"}).out == "/mnt/1\n");
  CHECK(f.script("pwd", {"--cd=etc"}).out == "/etc\n");  // relative to the root
  const Ran missing = f.script("pwd", {"-c", "/nowhere"});
  CHECK(missing.status == 31);
  CHECK(contains(missing.err, "can't change directory to /nowhere: No such file or directory"));
  CHECK(contains(missing.err, "cause: there is no such directory in the container"));
}

TEST_CASE("--uid and --gid choose the ids inside, and files stay the caller's outside", "[tool]") {
  const Fixture f;
  const std::string self = std::to_string(geteuid()) + " " + std::to_string(getegid()) + "\n";
  CHECK(f.script("echo $(id -u) $(id -g)").out == self);
  CHECK(f.script("echo $(id -u) $(id -g); id -un", {"-u0", "-g0"}).out == "0 0\nroot\n");
  CHECK(f.script("echo $(id -u) $(id -g)", {"--uid", "1234", "--gid=99999"}).out == "1234 99999\n");
  CHECK(f.script("touch $HOME/made", {"-u", "77"}).status == 0);
  struct stat made {};
  REQUIRE(stat((f.home + "/made").c_str(), &made) == 0);
  CHECK(made.st_uid == geteuid());
  for (const char* bad : {"", "-1", "root", "4294967295", "1 "}) {
    INFO(bad);
    CHECK(f.script("true", {std::string("--uid=") + bad}).status == 64);
    CHECK(f.script("true", {std::string("--gid=") + bad}).status == 64);
  }
}

TEST_CASE("--private-tmp gives an empty /tmp that no other process sees", "[tool]") {
  const Fixture f;
  CHECK(f.script("ls -A /tmp | wc -l; touch /tmp/x; ls /tmp", {"-t"}).out == "0\nx\n");
  CHECK(f.script("ls -A /tmp", {"--private-tmp"}).out.empty());
}

TEST_CASE("--no-home leaves home out", "[tool]") {
  const Fixture f;
  CHECK(f.script("ls -A /home; echo $HOME", {"--no-home"}).out == "/\n");
  CHECK(f.script("ls -A /home", {"--no-home", "--home"}).out == user_name() + "\n");
}

TEST_CASE("the environment is the caller's, but for what must differ", "[tool]") {
  const Fixture f;
  const Ran ran = f.script("env");
  CHECK(contains(ran.out, "ODD=a=b\n"));
  CHECK(contains(ran.out, "CH_RUNNING=Weird Al Yankovic\n"));
  CHECK(contains(ran.out, "PATH=/usr/bin:/bin\n"));
  CHECK_FALSE(contains(ran.out, "TMPDIR"));
}

TEST_CASE("PATH always has /bin, at its end if necessary", "[tool]") {
  Fixture f;
  const auto path_inside = [&](const std::string& path) {
    f.options.environment = {"HOME=" + f.home};
    if (path != "unset") f.options.environment.push_back("PATH=" + path);
    return f.ch_run({f.image, "--", "/bin/sh", "-c", "echo $PATH"}).out;
  };
  CHECK(path_inside("/usr/bin") == "/usr/bin:/bin\n");
  CHECK(path_inside("/bin") == "/bin\n");
  CHECK(path_inside("/x:/bin:/y") == "/x:/bin:/y\n");
  CHECK(path_inside("/usr/bin/bin:/sbin") == "/usr/bin/bin:/sbin:/bin\n");
  CHECK(path_inside("unset") == "/usr/local/bin:/usr/bin:/bin\n");
}

TEST_CASE("no environment variable is needed", "[tool]") {
  Fixture f;
  f.options.environment = {"X=1"};  // no HOME, no USER, no PATH
  const Ran ran = f.ch_run({f.image, "--", "/bin/sh", "-c", "id -u"});
  CHECK(ran.out == std::to_string(geteuid()) + "\n");
  CHECK(ran.status == 0);
}

TEST_CASE("only the standard descriptors reach the command", "[tool]") {
  Fixture f;
  f.options.in_child = [] {
    for (const int fd : {3, 7, 63, 1000}) dup2(0, fd);
    dup2(open("/", O_RDONLY | O_DIRECTORY), 9);
  };
  // ls opens one of its own, which shows as the one that can't be read any more.
  const Ran ran = f.script(
      "for d in /proc/self/fd/*; do readlink $d >/dev/null && echo ${d##*/}; "
      "done");
  CHECK(ran.out == "0\n1\n2\n");
  SECTION("also where some of them are closed") {
    f.options.in_child = [] { close(0); };
    CHECK(f.script("test ! -e /proc/self/fd/0 && echo closed").out == "closed\n");
  }
}

TEST_CASE("what can't be run is explained with cause and remedy", "[tool]") {
  const Fixture f;
  SECTION("no image") {
    const Ran ran = f.ch_run({f.dir / "none", "--", "true"});
    CHECK(ran.status == 31);
    CHECK(ran.err ==
          "ch-run: error: can't open image " + std::string(f.dir / "none") +
              ": No such file or directory (ENOENT) from openat\n"
              "ch-run: cause: there is nothing at this path on the host\n"
              "ch-run: remedy: check the path; an archive must be unpacked first: ch-tar2dir "
              "ARCHIVE DIR\n");
  }
  SECTION("not a directory") {
    test::write_file(f.dir / "file", "x");
    const Ran ran = f.ch_run({f.dir / "file", "--", "true"});
    CHECK(ran.status == 31);
    CHECK(contains(ran.err, "Not a directory (ENOTDIR)"));
    CHECK(contains(ran.err, "an archive must be unpacked first: ch-tar2dir ARCHIVE DIR"));
  }
  SECTION("an image without /dev") {
    test::fs::remove(f.image + "/dev");
    const Ran ran = f.script("true");
    CHECK(ran.status == 31);
    CHECK(contains(ran.err, "can't bind /dev: No such file or directory (ENOENT)"));
    CHECK(contains(ran.err, "cause: the image has no such mount point"));
    CHECK(contains(ran.err, "remedy: make it in the image"));
  }
  SECTION("no such command") {
    for (const char* command : {"nowhere", "/bin/nowhere"}) {
      const Ran ran = f.ch_run({f.image, "--", command});
      CHECK(ran.status == 49);
      CHECK(contains(ran.err, std::string("can't execute ") + command));
      CHECK(contains(ran.err, "cause: "));
      CHECK(contains(ran.err, "remedy: "));
    }
  }
  SECTION("not executable") {
    test::write_file(f.image + "/bin/plain", "echo x\n");
    for (const char* command : {"plain", "/bin/plain", "/bin"}) {
      const Ran ran = f.ch_run({f.image, "--", command});
      INFO(command);
      if (geteuid() == 0 && std::string(command) == "plain") continue;
      CHECK(ran.status == 49);
      CHECK(contains(ran.err, "Permission denied (EACCES) from execve"));
    }
  }
  SECTION("not a program") {
    test::write_file(f.image + "/bin/text", "echo x\n");
    chmod((f.image + "/bin/text").c_str(), 0755);
    const Ran ran = f.ch_run({f.image, "--", "text"});
    CHECK(ran.status == 49);
    CHECK(contains(ran.err, "Exec format error (ENOEXEC)"));
  }
  SECTION("a bind whose source is missing") {
    const Ran ran = f.script("true", {"-b", "/nowhere/at/all"});
    CHECK(ran.status == 31);
    CHECK(contains(ran.err, "can't bind /nowhere/at/all"));
    CHECK(contains(ran.err, "cause: there is nothing at this path on the host"));
  }
  SECTION("a file on a directory") {
    const Ran ran = f.script("true", {"-b", "/etc/passwd:/mnt/0"});
    INFO(ran.err);
    CHECK(ran.status == 31);
    CHECK(contains(ran.err,
                   "cause: one of source and destination is a directory and the other a file"));
  }
}

TEST_CASE("user namespaces switched off: the message names the switch", "[tool]") {
  const Fixture f;
  const std::string ch_run = test::ch_run_path();
  const auto inside = [&](const std::string& forbid) {
    return run({"unshare", "-Ur", "sh", "-c", forbid + " && exec \"$@\"", "sh", ch_run, f.image,
                "--", "true"},
               f.options);
  };
  const Ran user = inside("echo 0 > /proc/sys/user/max_user_namespaces");
  CHECK(user.status == 31);
  CHECK(contains(user.err, "can't make namespaces: No space left on device (ENOSPC) from unshare"));
  CHECK(contains(user.err,
                 "cause: user namespaces are switched off: the sysctl "
                 "user.max_user_namespaces is 0"));
  CHECK(contains(user.err, "remedy: the administrator can allow them: sysctl -w"));
  const Ran mounts = inside("echo 0 > /proc/sys/user/max_mnt_namespaces");
  CHECK(mounts.status == 31);
  CHECK(contains(mounts.err, "the sysctl user.max_mnt_namespaces is 0"));
}

TEST_CASE("in a chroot, the message says so", "[tool]") {
  STATIC_TOOLS_ONLY();
  const Fixture f;
  test::fs::copy_file(test::ch_run_path(), f.image + "/ch-run");
  test::fs::create_directory(f.image + "/inner");
  // The mount namespace is for /proc only, which ch-run reads to find the cause.
  const Ran ran = run({"unshare", "-Urm", "sh", "-c",
                       "mount --rbind /proc \"$1\"/proc && exec chroot \"$1\" /ch-run /inner -- x",
                       "sh", f.image});
  CHECK(ran.status == 31);
  CHECK(contains(ran.err, "can't make namespaces: Operation not permitted (EPERM)"));
  CHECK(contains(ran.err, "cause: this process is in a chroot"));
}

TEST_CASE("a container can be started in a container", "[tool]") {
  STATIC_TOOLS_ONLY();
  const Fixture f;
  test::fs::copy_file(test::ch_run_path(), f.image + "/bin/ch-run");
  const std::string inner = f.dir / "inner";
  test::make_image(inner);
  test::write_file(inner + "/etc/which", "inner\n");
  const Ran ran = f.ch_run({"-b", inner + ":/mnt/0", f.image, "--", "ch-run", "--no-home", "/mnt/0",
                            "--", "cat", "/etc/which"});
  INFO(ran.err);
  CHECK(ran.out == "inner\n");
}

TEST_CASE("a usage error is reported once, with status 64", "[tool]") {
  const Fixture f;
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{}, "no image given"},
      {{f.image, "--", ""}, "the command is empty"},
      {{""}, "the image's path is empty"},
      {{"--nonsense", f.image, "--", "true"}, "unknown option: --nonsense"},
      {{"-Z", f.image, "--", "true"}, "unknown option: Z"},
      {{"--bind"}, "this option needs an argument: --bind"},
      {{"-c"}, "this option needs an argument: c"},
      {{"--write=yes", f.image, "--", "true"}, "this option takes no argument: --write=yes"},
      {{"--explain=xml", f.image, "--", "true"}, "--explain can be text, json or shell: xml"},
  };
  for (const auto& [arguments, message] : cases) {
    INFO(message);
    const Ran ran = f.ch_run(arguments);
    CHECK(ran.status == 64);
    CHECK(ran.err ==
          std::string("ch-run: error: ") + message + "\nch-run: remedy: see ch-run --help\n");
    CHECK(ran.out.empty());
  }
}

TEST_CASE("an ambiguous abbreviation is refused with the options that it may mean", "[tool]") {
  const Fixture f;
  for (const std::string word : {"--ver", "--ver=1"}) {
    const Ran ran = f.ch_run({word, f.image, "--", "true"});
    CHECK(ran.status == 64);
    CHECK(ran.err == "ch-run: error: ambiguous option: " + word +
                         "\nch-run: remedy: say which: --verbose --version\n");
  }
}

TEST_CASE("without a number of peers, --join is a wrong command line", "[tool]") {
  const Fixture f;
  const Ran ran = f.ch_run({"--join", f.image, "--", "true"});
  CHECK(ran.status == 64);
  CHECK(ran.err ==
        "ch-run: error: --join: no launcher's variable says how many peers there are; give "
        "--join-ct\n"
        "ch-run: remedy: start it with mpirun or srun, or give their number with --join-ct\n");
}

TEST_CASE("without command, record or terminal there is nothing to run", "[tool]") {
  const Fixture f;
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{f.image}, std::vector<std::string>{f.image, "--"}}) {
    const Ran ran = f.ch_run(arguments);
    CHECK(ran.status == 64);
    CHECK(ran.err ==
          "ch-run: error: no command given, the image records none, and this is not a terminal\n"
          "ch-run: remedy: say what to run: ch-run IMAGE -- COMMAND\n");
  }
}

TEST_CASE("--help explains the tool, --version prints the version", "[tool]") {
  const Fixture f;
  for (const char* option : {"--help", "-?", "-h", "--he"}) {
    const Ran ran = f.ch_run({option});
    CHECK(ran.status == 0);
    CHECK(contains(ran.out, "Usage: ch-run [OPTION...] IMAGE -- COMMAND [ARG...]"));
    CHECK(contains(ran.out, "--bind=SRC[:DST[:ro]]"));
    CHECK(contains(ran.out, "Examples:"));
    for (std::size_t at = 0; at < ran.out.size(); at = ran.out.find('\n', at) + 1)
      CHECK(ran.out.find('\n', at) - at <= 80);
  }
  CHECK(f.ch_run({"--version"}).out.rfind("ch-run 0.", 0) == 0);
}

TEST_CASE("--explain prints the plan and does nothing", "[tool]") {
  const Fixture f;
  const Ran text = f.ch_run({"--explain", f.image, "--", "touch", "/tmp/never"});
  CHECK(text.status == 0);
  CHECK(text.out.rfind(" 1  make namespaces: user, mnt\n", 0) == 0);
  CHECK(contains(text.out, "open image " + f.image + ", read-only\n"));
  const Ran json = f.ch_run({"--explain=json", f.image, "--", "true"});
  CHECK(json.out.rfind("{\"assembly\": \"", 0) == 0);
}

TEST_CASE("the shell script of a plan makes the same container", "[tool]") {
  const Fixture f;
  SKIP_UNLESS(
      run({"sh", "-c", "PATH=$PATH:/sbin:/usr/sbin; command -v unshare mount pivot_root"}).status ==
          0,
      "util-linux is not installed");
  const std::string look =
      "ls /; pwd; id -u; cat /etc/passwd /etc/hosts; ls /home; env | grep -v "
      "^_= | grep -v PWD= | grep -v SHLVL | sort; "
      "touch /x 2>&1; touch /mnt/0/x 2>&1; "
      "mount | grep ' on / ' | grep -c 'ro,nosuid'; exit 9";
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{}, {"-u0", "-g0"}, {"-w", "-c", "/mnt/1", "-t"}, {"--no-home"}}) {
    std::vector<std::string> arguments = options;
    arguments.insert(arguments.end(), {"-b", "/usr:/mnt/0:ro", f.image, "--", "sh", "-c", look});
    const Ran direct = f.ch_run(arguments);
    arguments.insert(arguments.begin(), "--explain=shell");
    const Ran script = f.ch_run(arguments);
    test::fs::remove(f.image + "/x");
    test::write_file(f.dir / "box.sh", script.out);
    const Ran by_shell = run({"sh", f.dir / "box.sh"}, f.options);
    test::fs::remove(f.image + "/x");
    INFO(script.out);
    INFO(by_shell.err);
    CHECK(by_shell.status == 9);
    CHECK(direct.status == 9);
    CHECK(by_shell.out == direct.out);
  }
}

TEST_CASE("-v prints the steps, -vv the system calls too", "[tool]") {
  const Fixture f;
  const Ran steps = f.ch_run({"-v", f.image, "--", "echo", "x"});
  CHECK(steps.out == "x\n");
  CHECK(contains(steps.err, "make this tree the root"));
  CHECK_FALSE(contains(steps.err, "unshare("));
  const Ran calls = f.ch_run({"-vv", f.image, "--", "echo", "x"});
  CHECK(calls.out == "x\n");
  CHECK(contains(calls.err, "unshare(0x10020000) = 0\n"));
  CHECK(contains(calls.err, "pivot_root(\".\", \".\") = 0\n"));
}

TEST_CASE("options may occur between operands until -- or the command", "[tool]") {
  const Fixture f;
  CHECK(f.ch_run({f.image, "-c", "/etc", "pwd"}).out == "/etc\n");
  CHECK(f.ch_run({f.image, "--", "echo", "-c", "--help"}).out == "-c --help\n");
  CHECK(f.ch_run({f.image, "echo", "--", "-c", "--help"}).out == "-- -c --help\n");
  CHECK(f.ch_run({"--", f.image, "echo", "-w"}).out == "-w\n");
}

TEST_CASE("every way of assembly can be asked for", "[tool]") {
  const Fixture f;
  for (const char* way : {"attached", "classic"})
    CHECK(f.ch_run({std::string("--assembly=") + way, f.image, "--", "echo", way}).out ==
          std::string(way) + "\n");
  CHECK(f.script("true", {"--assembly=magic"}).status == 64);
}

TEST_CASE("many binds and long paths work", "[tool]") {
  const Fixture f;
  std::string deep = f.dir.path();
  for (int i = 0; i < 12; ++i) {
    deep += "/" + std::string(200, 'd');
    test::fs::create_directory(deep);
  }
  std::vector<std::string> options;
  for (int i = 0; i < 600; ++i) {
    options.push_back("-b");
    options.push_back(deep + ":/mnt/1");
  }
  CHECK(f.script("touch /mnt/1/x", options).status == 0);
  CHECK(test::fs::exists(deep + "/x"));

  test::fs::create_symlink(f.image, deep + "/image");
  CHECK(f.ch_run({deep + "/image", "--", "echo", "deep"}).out == "deep\n");
  const Ran ran = f.ch_run({deep + "/x", "--", "true"});
  CHECK(ran.status == 31);
  CHECK(contains(ran.err, "Not a directory (ENOTDIR)"));
  CHECK(contains(ran.err, "an archive must be unpacked first"));
}

TEST_CASE("a launch leaves no mount and no file behind", "[tool]") {
  const Fixture f;
  const auto mounts = [] { return test::read_file("/proc/self/mountinfo"); };
  const auto files = [&] {
    std::vector<std::string> all;
    for (const auto& e : test::fs::recursive_directory_iterator(f.dir.path()))
      all.push_back(e.path().string());
    return all;
  };
  const auto mounts_before = mounts();
  const auto files_before = files();
  for (int i = 0; i < 20; ++i) {
    CHECK(f.script("true").status == 0);
    CHECK(f.script("true", {"-b", "/nowhere"}).status == 31);
  }
  CHECK(mounts() == mounts_before);
  CHECK(files() == files_before);
}
