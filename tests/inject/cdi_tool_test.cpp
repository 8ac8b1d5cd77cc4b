// SPDX-License-Identifier: Apache-2.0
//
// ch-run --device and its parts, from outside.

#include <fcntl.h>

#include <algorithm>

#include "tests/inject/cdi_specs.hpp"
#include "tests/support/ch_run.hpp"

namespace {

using test::contains;
using test::Ran;
using test::write_file;

/// A minimal image, and a directory for descriptions of devices.
struct Fixture : test::ChRun {
  std::string cdi = dir / "cdi";

  Fixture() { test::fs::create_directory(cdi); }
  /// A file with the device "a.com/b=c" and these containerEdits.
  void describe(const std::string& edits) const {
    write_file(cdi + "/x.json", R"({"cdiVersion": "0.6.0", "kind": "a.com/b", "devices": [
      {"name": "c", "containerEdits": )" + edits + "}]}");
  }
  Ran with_device(const std::string& text, std::vector<std::string> before = {},
                  const std::string& device = "a.com/b=c") const {
    before.insert(before.begin(), {"--cdi-dirs", cdi, "--device", device});
    return script(text, before);
  }
};

std::string all_files(const std::string& root) {
  std::string all;
  for (const auto& e : test::fs::recursive_directory_iterator(root)) all += e.path().string() + "\n";
  return all;
}

int lines(const std::string& text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

TEST_CASE("a device brings mounts, variables and links, and the image stays as it is", "[tool]") {
  const Fixture f;
  test::fs::create_directory(f.dir / "driver");
  write_file(f.dir / "driver/lib", "library");
  f.describe(R"({"env": ["MADE=a'$HOME: ", "EMPTY="], "deviceNodes": [{"path": "/dev/null"},
    {"path": "/made/zero", "hostPath": "/dev/zero", "type": "c"}],
    "mounts": [{"hostPath": ")" + (f.dir / "driver").string() + R"(", "containerPath": "/opt/a:b",
      "options": ["ro"]},
      {"hostPath": ")" + (f.dir / "driver/lib").string() + R"(", "containerPath": "/usr/lib/made.so"}],
    "hooks": [{"hookName": "createContainer", "path": "/usr/bin/nvidia-cdi-hook",
      "args": ["nvidia-cdi-hook", "create-symlinks", "--link", "made.so::/usr/lib/li:nk.so"]}]})");
  const std::string before = all_files(f.image);
  for (const char* way : {"detached", "attached"}) {
    const Ran ran = f.with_device(
        "cat /opt/a:b/lib /usr/lib/made.so /usr/lib/li:nk.so; readlink /usr/lib/li:nk.so; "
        "echo \"[$MADE][$EMPTY]\"; dd if=/made/zero bs=1 count=3 2>/dev/null | wc -c; "
        "touch /opt/a:b/x 2>/dev/null || echo ro",
        {std::string("--assembly=") + way});
    INFO(ran.err);
    CHECK(ran.out == "librarylibrarylibrarymade.so\n[a'$HOME: ][]\n3\nro\n");
    CHECK(ran.err.empty());
  }
  CHECK(all_files(f.image) == before);
}

TEST_CASE("AMD's and Intel's devices need nothing in the image", "[tool]") {
  const Fixture f;
  write_file(f.cdi + "/amd.json", test::amd_json());
  write_file(f.cdi + "/intel.yaml", test::intel_yaml());
  for (const char* device : {"amd.com/gpu=0", "amd.com/gpu=all", "amd.com/gpu", "intel.com/gpu=all",
                             "intel.com/gpu=0000:03:00.0-0x56a0"}) {
    const Ran ran = f.with_device("test -c /dev/null && echo yes", {}, device);
    INFO(device << ": " << ran.err);
    CHECK(ran.out == "yes\n");
    CHECK(ran.err.empty());
  }
  const Ran both = f.with_device("echo yes", {"--device", "intel.com/gpu=all"}, "amd.com/gpu=1");
  CHECK(both.out == "yes\n");
}

TEST_CASE("the user's own binds and variables win over a device's, and keep their numbers",
          "[tool]") {
  const Fixture f;
  write_file(f.dir / "device", "device");
  write_file(f.dir / "mine", "mine");
  f.describe(R"({"env": ["A=device", "B=device"], "mounts": [{"hostPath": ")" +
             (f.dir / "device").string() + R"(", "containerPath": "/opt/x"}]})");
  test::fs::create_directory(f.dir / "data");
  write_file(f.dir / "data/name", "zero");
  const Ran ran = f.with_device(
      "cat /opt/x /mnt/0/name; echo $A $B",
      {"-b", (f.dir / "data").string(), "-b", (f.dir / "mine").string() + ":/opt/x", "--set-env=B=me"});
  INFO(ran.err);
  CHECK(ran.out == "minezerodevice me\n");
}

TEST_CASE("no process stays in between, no descriptor leaks, and nothing is left", "[tool]") {
  const Fixture f;
  f.describe(R"({"env": ["A=1"]})");
  auto options = f.options;
  const auto as_it_was = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"sh", "-c", "echo $$; exec \"$@\"", "sh", test::ch_run_path()};
    words.insert(words.end(), more.begin(), more.end());
    words.insert(words.end(), {f.image, "--", "sh", "-c", "echo $$ $PPID; ls /proc/self/fd"});
    return test::run(words, options);
  };
  // One that is open without close-on-exec reaches the helper, and must not reach the command.
  options.in_child = [] { (void)open("/dev/null", O_RDONLY); };
  const Ran plain = as_it_was({});
  const Ran with = as_it_was({"--cdi-dirs", f.cdi, "--device", "a.com/b=c"});
  INFO(with.err);
  REQUIRE(lines(plain.out) == lines(with.out));
  const std::string pid = with.out.substr(0, with.out.find('\n'));
  CHECK(contains(with.out, "\n" + pid + " "));
  CHECK(plain.out.substr(plain.out.find('\n', plain.out.find('\n') + 1)) ==
        with.out.substr(with.out.find('\n', with.out.find('\n') + 1)));

  // One that is to be kept is the same file as before.
  options.in_child = [&] {
    const int fd = open((f.dir / "kept").c_str(), O_RDWR | O_CREAT, 0600);
    (void)dup2(fd, 9);
  };
  std::vector<std::string> words = {test::ch_run_path(), "--keep-fd=9", "--cdi-dirs", f.cdi,
                                    "--device", "a.com/b=c", f.image, "--", "sh", "-c",
                                    "echo kept >&9"};
  CHECK(test::run(words, options).status == 0);
  CHECK(test::read_file(f.dir / "kept") == "kept\n");
}

TEST_CASE("--explain with a device shows the resulting plan", "[tool]") {
  const Fixture f;
  f.describe(R"({"mounts": [{"hostPath": "/etc", "containerPath": "/opt/etc", "options": ["ro"]}],
    "hooks": [{"hookName": "x", "path": "/x", "args": ["x", "create-symlinks", "--link", "a::/b"]}]})");
  const Ran text = f.with_device("true", {"--explain"});
  CHECK(contains(text.out, "  link /b to a\n"));
  CHECK(contains(text.out, "  bind /etc on /opt/etc, read-only\n"));
  const Ran json = f.with_device("true", {"--explain=json"});
  CHECK(contains(json.out, R"({"step": "make-link", "target": "a", "destination": "/b"})"));
}

TEST_CASE("an unavailable device is one error with cause and remedy", "[tool]") {
  const Fixture f;
  const auto refused = [&](const Ran& ran, const char* cause) {
    INFO(ran.err);
    CHECK(ran.status == 31);
    CHECK(ran.out.empty());
    CHECK(lines(ran.err) == 2);
    CHECK(contains(ran.err, cause));
    CHECK(ran.err.rfind("ch-run: error: ", 0) == 0);
    CHECK(contains(ran.err, "\nch-run: remedy: "));
  };
  refused(f.with_device("true"), "a.com/b=c: no such device is described in ");
  for (const char* text : {"", "{", "[]", "{\"cdiVersion\": 1}", "\xff\xfe"}) {
    write_file(f.cdi + "/x.json", text);
    refused(f.with_device("true"), "/x.json: ");
  }
  f.describe(R"({"deviceNodes": [{"path": "/dev/made9"}]})");
  refused(f.with_device("true"), "/dev/made9: this host has no such device");
  refused(f.with_device("true", {}, "a.com/b=d"), "there is a.com/b=c");
  f.describe(R"({"mounts": [{"hostPath": "/made/x", "containerPath": "/x"}]})");
  refused(f.with_device("true"), "/made/x: this host has no such file");
  write_file(f.cdi + "/y.json", test::read_file(f.cdi + "/x.json"));
  refused(f.with_device("true"), "two files of one directory");
}

TEST_CASE("a malformed device name is a usage error", "[tool]") {
  const Fixture f;
  for (const char* device : {"gpu", "a.com/b=", "a.com/b=c/d", "=", "a b/c=d"}) {
    const Ran ran = f.with_device("true", {}, device);
    INFO(ran.err);
    CHECK(ran.status == 64);
    CHECK(contains(ran.err, "such as nvidia.com/gpu=0"));
  }
}

TEST_CASE("paths of a device stay in the container, whatever links the image has", "[tool]") {
  const Fixture f;
  test::fs::create_directory(f.dir / "outside");
  test::fs::create_symlink((f.dir / "outside").string(), f.image + "/opt");
  test::fs::create_symlink("../../../../../../../.." + (f.dir / "outside").string(), f.image + "/var");
  f.describe(R"({"mounts": [{"hostPath": "/etc", "containerPath": "/opt/etc"},
    {"hostPath": "/etc", "containerPath": "/var/etc"}],
    "hooks": [{"hookName": "x", "path": "/x", "args": ["x", "create-symlinks", "--link", "a::/opt/b",
      "--link", "a::/var/c"]}]})");
  (void)f.with_device("true");
  (void)f.with_device("true", {"-w"});
  CHECK(test::fs::is_empty(f.dir / "outside"));
}

TEST_CASE("a site's configuration can request devices, and a user can decline them", "[tool]") {
  Fixture f;
  f.describe(R"({"env": ["A=1"]})");
  write_file(f.dir / "conf", "cdi-dirs=" + f.cdi + "\ndevice=a.com/b=c\n");
  f.options.environment.push_back("CH_RUN_CONF=" + (f.dir / "conf").string());
  CHECK(f.script("echo [$A]").out == "[1]\n");
  CHECK(f.script("echo [$A]", {"--no-device"}).out == "[]\n");
  f.options.environment.push_back("CH_RUN_CDI_DIRS=" + f.cdi);
  write_file(f.dir / "conf", "device=a.com/b=c\n");
  CHECK(f.script("echo [$A]").out == "[1]\n");
  write_file(f.dir / "conf", "device-file=/x\n");
  CHECK(f.script("true").status == 64);
}

TEST_CASE("unknown hooks cause a warning, unless warnings are off", "[tool]") {
  const Fixture f;
  f.describe(R"({"hooks": [{"hookName": "prestart", "path": "/opt/hook", "args": ["hook", "x"]}]})");
  const Ran loud = f.with_device("echo yes");
  CHECK(loud.out == "yes\n");
  CHECK(loud.err ==
        "ch-run: warning: an unknown hook is not run: prestart /opt/hook x\n");
  CHECK(f.with_device("echo yes", {"-q"}).err.empty());
}

TEST_CASE("ch-device lists devices, and writes a file that ch-run takes", "[tool]") {
  const Fixture f;
  write_file(f.cdi + "/amd.json", test::amd_json());
  f.describe(R"({"env": ["A=1"]})");
  const std::string tool = test::tool("CH_DEVICE", CHARLIE_CH_DEVICE);
  CHECK(test::run({tool, "--cdi-dirs", f.cdi, "--list"}).out ==
        "a.com/b=c  " + f.cdi + "/x.json\namd.com/gpu=0  " + f.cdi + "/amd.json\namd.com/gpu=1  " +
            f.cdi + "/amd.json\n");
  const Ran file = test::run({tool, "--cdi-dirs", f.cdi, "--device", "a.com/b=c", "--image", f.image});
  CHECK(file.out == "# a.com/b=c\nset-env=A='1'\n");
  write_file(f.dir / "devices", file.out);
  CHECK(f.script("echo [$A]", {"--device-file", f.dir / "devices"}).out == "[1]\n");
  CHECK(contains(f.script("true", {"--device-file", "/made/x"}).err, "can't read the device file"));
  CHECK(test::run({tool, "--device", "a.com/b=c"}).status == 64);
  CHECK(test::run({tool, "--help"}).status == 0);
  CHECK(contains(test::run({tool, "--version"}).out, "ch-device "));
}

// ---- its parts --------------------------------------------------------------------------

TEST_CASE("--symlink makes a link over the image, whatever is there", "[tool]") {
  const Fixture f;
  const std::string before = all_files(f.image);
  const Ran ran = f.script("readlink /opt/new/link; readlink /bin/ls; readlink /etc/passwd; cat /a:b",
                           {"--symlink", "tar\\:get:/opt/new/link", "--symlink", "cat:/bin/ls",
                            "--symlink", "group:/etc/passwd", "--symlink", "etc/x:/a\\:b",
                            "--no-passwd", "--copy", f.image + "/bin/busybox:/etc/y"});
  INFO(ran.err);
  CHECK(contains(ran.out, "tar:get\ncat\ngroup\n"));
  CHECK(all_files(f.image) == before);
  for (const char* wrong : {"a", "a:", ":/b", "a:b", "a:/b:c", "a:/b/", "a:/b/..", "a:/."})
    CHECK(f.script("true", {"--symlink", wrong}).status == 64);
}

TEST_CASE("--symlink in a writable image replaces links, and nothing else", "[tool]") {
  const Fixture f;
  CHECK(f.script("true", {"-w", "--symlink", "cat:/bin/ls", "--symlink", "x:/opt/y"}).status == 0);
  CHECK(test::fs::read_symlink(f.image + "/bin/ls") == "cat");
  CHECK(test::fs::read_symlink(f.image + "/opt/y") == "x");
  const Ran ran = f.script("true", {"-w", "--symlink", "x:/bin/busybox"});
  CHECK(ran.status == 31);
  CHECK(contains(ran.err, "can't make link /bin/busybox: File exists"));
  CHECK(test::fs::is_regular_file(f.image + "/bin/busybox"));
}

TEST_CASE("--copy shows a file as it was when the container was made", "[tool]") {
  const Fixture f;
  write_file(f.dir / "file", std::string("a\0b", 3));
  const Ran ran = f.script("cat /opt/copy | wc -c; echo x 2>/dev/null > /opt/copy || echo ro; cat /etc/hosts",
                           {"--copy", (f.dir / "file").string() + ":/opt/copy", "--copy",
                            (f.dir / "file").string() + ":/etc/hosts"});
  INFO(ran.err);
  CHECK(ran.out == std::string("3\nro\na\0b", 8));
  const Ran missing = f.script("true", {"--copy", "/made/x:/y"});
  CHECK(missing.status == 31);
  CHECK(contains(missing.err, "can't copy /made/x: No such file or directory"));
}
