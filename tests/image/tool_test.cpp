// SPDX-License-Identifier: Apache-2.0
//
// ch-tar2dir from outside, as its users see it: messages, what is replaced and what is
// not, one of many at once, umasks, times, sparse files, attributes, a full disk.

#include <sys/resource.h>
#include <sys/xattr.h>

#include <algorithm>
#include <fstream>
#include <functional>

#include "tests/image/image_archives.hpp"
#include "tests/support/process.hpp"

namespace {

using test::content;
using test::Ran;
using test::run;
using test::Tar;
using test::TempDir;
namespace fs = std::filesystem;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
std::string ch_tar2dir() { return test::tool("CH_TAR2DIR", CHARLIE_CH_TAR2DIR); }

Tar small_tar() {
  Tar tar;
  tar.dir("bin/").file("bin/sh", "#!\n", 0755).dir("dev/").dir("usr/").file("usr/f", "content");
  return tar;
}

struct Fixture {
  TempDir dir;
  std::string archive = (dir / "a.tar.gz").string();
  std::string image = (dir / "at/image").string();
  Fixture() {
    fs::create_directory(dir / "at");
    test::write_file(archive, test::compress(small_tar().bytes(), "gzip"));
  }
  [[nodiscard]] Ran unpack(std::vector<std::string> more = {},
                           const test::RunOptions& options = {}) const {
    std::vector<std::string> words = {ch_tar2dir()};
    words.insert(words.end(), more.begin(), more.end());
    words.push_back(archive);
    words.push_back(image);
    return run(words, options);
  }
  [[nodiscard]] std::vector<std::string> beside() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(dir / "at"))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
};

}  // namespace

TEST_CASE("ch-tar2dir says what it does, on the right stream", "[image][tool]") {
  const Fixture f;
  const Ran first = f.unpack();
  CHECK(first.out == "creating new image " + f.image + "\n" + f.image + " unpacked ok\n");
  CHECK(first.err.empty());
  CHECK(first.status == 0);
  const Ran again = f.unpack();
  CHECK(again.out == f.image + " unpacked ok\n");
  CHECK(again.err == "replacing existing image " + f.image + "\n");
  CHECK(again.status == 0);
  const Ran quiet = f.unpack({"-q"});
  CHECK((quiet.out + quiet.err).empty());
}

TEST_CASE("a wrong command line is 64, with a hint at the help", "[image][tool]") {
  for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                {"a"},
                                                {"a", "b", "c"},
                                                {"--nonsense", "a", "b"},
                                                {"--max-size=x", "a", "b"},
                                                {"--max-size=99999999T", "a", "b"},
                                                {"-j0", "a", "b"},
                                                {"--platform=x", "a", "b"},
                                                {"--contain=maybe", "a", "b"},
                                                {"--image"}}) {
    std::vector<std::string> all = {ch_tar2dir()};
    all.insert(all.end(), words.begin(), words.end());
    const Ran ran = run(all);
    CAPTURE(ran.err);
    CHECK(ran.status == 64);
    CHECK(contains(ran.err, "--help"));
  }
  const Ran help = run({ch_tar2dir(), "--help"});
  CHECK(help.status == 0);
  CHECK(contains(help.out, "docker save"));
  CHECK(contains(run({ch_tar2dir(), "--version"}).out, "ch-tar2dir "));
}

TEST_CASE("errors name the archive, the cause and a remedy", "[image][tool]") {
  const Fixture f;
  const Ran missing = run({ch_tar2dir(), f.dir.path().string() + "/none", f.image});
  CHECK(missing.status == 1);
  CHECK(missing.err == "ch-tar2dir: error: " + f.dir.path().string() +
                           "/none: can't open: No such file or directory\n");
  const std::string whole = test::read_file(f.archive);
  test::write_file(f.archive, whole.substr(0, whole.size() - 1));
  const Ran cut = f.unpack();
  CHECK(cut.status == 1);
  CHECK(contains(cut.err, f.archive + ": "));
  CHECK(contains(cut.err, "ends too early"));
  CHECK(contains(cut.err, "remedy: fetch the archive again"));
  CHECK(f.beside().empty());
  const Ran nowhere = run({ch_tar2dir(), f.archive, (f.dir / "no/such/image").string()});
  CHECK(nowhere.status == 1);
  CHECK(contains(nowhere.err, "/no/such: there is no such directory"));
  CHECK(contains(nowhere.err, "remedy: make it: mkdir -p "));
}

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
  if (geteuid() == 0) return;  // to whom all belong
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

TEST_CASE("the image is closed to others while it grows, whatever the umask", "[image][tool]") {
  for (const mode_t mask : {0000, 0022, 0077}) {
    const Fixture f;
    // A pipe that stays open holds the unpacking where we can look at it.
    const std::string fifo = (f.dir / "fifo").string();
    REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
    const pid_t child = fork();
    if (child == 0) {
      umask(mask);
      const int null = open("/dev/null", O_RDWR);
      dup2(null, 1);
      dup2(null, 2);
      execlp(ch_tar2dir().c_str(), "ch-tar2dir", fifo.c_str(), f.image.c_str(), nullptr);
      _exit(127);
    }
    const std::string tar = small_tar().file("mode", "m", 0666).bytes();
    const int out = open(fifo.c_str(), O_WRONLY);
    REQUIRE(write(out, tar.data(), 1024) == 1024);
    struct stat holder {};
    for (int tries = 0; tries < 100 && holder.st_mode == 0; ++tries) {
      if (lstat((f.dir / "at/.ch-tar2dir.image").c_str(), &holder) != 0) usleep(20000);
    }
    CHECK((holder.st_mode & 07777) == 0700);
    CHECK_FALSE(fs::exists(f.image));
    REQUIRE(write(out, tar.data() + 1024, tar.size() - 1024) ==
            static_cast<ssize_t>(tar.size() - 1024));
    close(out);
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(status == 0);
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

TEST_CASE("any number of threads gives the same tree", "[image][tool]") {
  Tar tar;
  for (int i = 0; i < 400; ++i) {
    const std::string folder = "d" + std::to_string(i % 7) + "/";
    tar.file(folder + std::to_string(i), std::string(static_cast<std::size_t>(i * 31 % 5000), 'x'));
    if (i % 5 == 0) tar.hard_link(folder + "h" + std::to_string(i), folder + std::to_string(i));
    if (i % 11 == 0) tar.file(folder + std::to_string(i), "again");
    if (i % 13 == 0) tar.symlink("s" + std::to_string(i), folder);
    if (i % 26 == 0) tar.file("s" + std::to_string(i) + "/through", std::to_string(i));
  }
  tar.file("large", std::string(5 << 20, 'l'));
  const std::string bytes = tar.bytes();
  std::map<std::string, std::string> first;
  for (const unsigned writers : {1U, 1U, 2U, 2U, 8U, 8U, 8U, 8U, 8U, 8U}) {
    const TempDir dir;
    ch::image::UnpackOptions options;
    options.writers = writers;
    test::unpack_bytes(bytes, dir / "i", options);
    auto tree = test::snapshot(dir / "i");
    if (first.empty()) first = tree;
    for (const auto& [path, what] : tree)
      if (first[path] != what)
        FAIL(path << ": " << first[path].substr(0, 80) << " became " << what.substr(0, 80));
    CHECK(tree.size() == first.size());
  }
  CHECK(first.size() > 400);
}

TEST_CASE("of many unpackings to one name one wins, the others say so", "[image][tool]") {
  const Fixture f;
  int both = 0;
  for (int pair = 0; pair < 50; ++pair) {
    fs::remove_all(f.image);
    pid_t children[2];
    for (pid_t& child : children) {
      child = fork();
      if (child == 0) {
        const int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execlp(ch_tar2dir().c_str(), "ch-tar2dir", "--no-sync", f.archive.c_str(), f.image.c_str(),
               nullptr);
        _exit(127);
      }
    }
    int good = 0;
    for (const pid_t child : children) {
      int status = 0;
      waitpid(child, &status, 0);
      REQUIRE(WIFEXITED(status));
      REQUIRE(WEXITSTATUS(status) <= 1);
      if (WEXITSTATUS(status) == 0) ++good;
    }
    CHECK(good >= 1);  // both, if the second began when the first had ended
    both += good == 2 ? 1 : 0;
    CHECK(content(f.image + "/usr/f") == "content");
    CHECK(f.beside() == std::vector<std::string>{"image"});
  }
  INFO("pairs that ran one after the other: " << both);
  CHECK(both < 50);
}

TEST_CASE("the temporary of a dead run is taken away, that of a live one respected",
          "[image][tool]") {
  const Fixture f;
  const fs::path holder = f.dir / "at/.ch-tar2dir.image";
  fs::create_directories(holder / "image/some/where");
  test::write_file(holder / "image/some/file", "left over");
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

TEST_CASE("one enclosing directory is taken off, in whatever form", "[image][tool]") {
  for (const char* prefix : {"app/", "./app/", "/app/", "app/app/"}) {
    const std::string p = prefix;
    const TempDir dir;
    Tar tar;
    if (p == "./app/") tar.dir("./");
    tar.dir(p).dir(p + "usr/").file(p + "usr/f", "f").symlink(p + "l", "usr/f");
    tar.hard_link(p + "h", p + "usr/f").dir(p + "dev/").file(p + "dev/x", "");
    const auto report = test::unpack_bytes(tar.bytes(), dir / "i");
    CAPTURE(prefix);
    CHECK(report.stripped_directory == "app");
    const fs::path root = p == "app/app/" ? dir / "i/app" : dir / "i";  // one level, not two
    CHECK(content(root / "usr/f") == "f");
    CHECK(content(root / "h") == "f");
    CHECK(fs::is_directory(dir / "i/proc"));
    if (root == dir / "i") CHECK(fs::is_empty(root / "dev"));
  }
  for (const char* name : {"usr", "etc", "bin"}) {  // a root with one folder only
    const TempDir dir;
    test::unpack_bytes(Tar().file(std::string(name) + "/f", "f").bytes(), dir / "i");
    CHECK(content(dir / "i" / name / "f") == "f");
  }
  const TempDir dir;  // two entries enclose nothing
  test::unpack_bytes(Tar().file("app/f", "f").file("README", "r").bytes(), dir / "i");
  CHECK(content(dir / "i/app/f") == "f");
}

TEST_CASE("what ch-run needs is there", "[image][tool]") {
  const TempDir dir;
  test::unpack_bytes(Tar()
                         .dir("etc/")
                         .symlink("etc/resolv.conf", "../run/stub/resolv.conf")
                         .file("etc/hosts", "kept")
                         .symlink("home", "/var/home")
                         .bytes(),
                     dir / "i");
  for (const char* d : {"dev", "proc", "sys", "tmp", "mnt/0", "mnt/9", "var/home", "ch"})
    CHECK(fs::is_directory(dir / "i" / d));
  CHECK(content(dir / "i/run/stub/resolv.conf").empty());
  CHECK(fs::is_symlink(dir / "i/etc/resolv.conf"));
  CHECK(content(dir / "i/etc/hosts") == "kept");
  CHECK(content(dir / "i/etc/passwd").empty());
}

TEST_CASE("times are kept, to the nanosecond, of links and directories too", "[image][tool]") {
  const TempDir dir;
  Tar tar;
  tar.pax({{"mtime", "1234567890.123456789"}}).file("f", "x").dir("d/").file("d/later", "y");
  tar.symlink("l", "f").add({"fifo", '6', "", "", 0600});
  test::unpack_bytes(tar.bytes(), dir / "i");
  struct stat s {};
  REQUIRE(lstat((dir / "i/f").c_str(), &s) == 0);
  CHECK(s.st_mtim.tv_sec == 1234567890);
  CHECK(s.st_mtim.tv_nsec == 123456789);
  for (const char* name : {"i/d", "i/l", "i/fifo"}) {
    REQUIRE(lstat((dir / name).c_str(), &s) == 0);
    CHECK(s.st_mtim.tv_sec == 1000000000);
  }
  CHECK(fs::is_fifo(dir / "i/fifo"));
}

TEST_CASE("sparse files stay sparse", "[image][tool]") {
  const TempDir dir;
  fs::create_directories(dir / "t/usr");
  const std::string name = (dir / "t/usr/sparse").string();
  const int fd = open(name.c_str(), O_WRONLY | O_CREAT, 0644);
  REQUIRE(fd >= 0);
  REQUIRE(ftruncate(fd, 64 << 20) == 0);
  REQUIRE(pwrite(fd, "middle", 6, 32 << 20) == 6);
  close(fd);
  test::write_file(dir / "t/other", "o");
  for (const char* format : {"gnu", "posix"}) {
    REQUIRE(run({"tar", "-C", (dir / "t").string(), "--sparse", "--format", format, "-cf",
                 (dir / "s.tar").string(), "."})
                .status == 0);
    REQUIRE(fs::file_size(dir / "s.tar") < 1 << 20);
    REQUIRE(run({ch_tar2dir(), (dir / "s.tar").string(), (dir / "i").string()}).status == 0);
    struct stat s {};
    REQUIRE(stat((dir / "i/usr/sparse").c_str(), &s) == 0);
    CHECK(s.st_size == 64 << 20);
    CHECK(s.st_blocks * 512 < 1 << 20);
    CHECK(run({"cmp", name, (dir / "i/usr/sparse").string()}).status == 0);
  }
}

TEST_CASE("extended attributes and set-uid bits only if asked for", "[image][tool]") {
  const Fixture f;
  Tar tar;
  tar.pax({{"SCHILY.xattr.user.note", "hello"}, {"SCHILY.xattr.trusted.x", "no"}});
  tar.file("f", "x", 04755).file("g", "");
  test::write_file(f.archive, tar.bytes());
  char value[16];
  REQUIRE(f.unpack().status == 0);
  CHECK(getxattr((f.image + "/f").c_str(), "user.note", value, sizeof value) < 0);
  const Ran ran = f.unpack({"--xattrs", "--preserve"});
  if (ran.status != 0 && contains(ran.err, "Operation not supported"))
    SKIP_UNLESS(false, "this file system has no user attributes");
  REQUIRE(ran.status == 0);
  CHECK(getxattr((f.image + "/f").c_str(), "user.note", value, sizeof value) == 5);
  CHECK(getxattr((f.image + "/f").c_str(), "trusted.x", value, sizeof value) < 0);
  CHECK((fs::status(f.image + "/f").permissions() & fs::perms(07777)) == fs::perms(04755));
}

TEST_CASE("a limit on the size of files is an error, not a death", "[image][tool]") {
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

TEST_CASE("interrupted, it takes its traces away and dies of the signal", "[image][tool]") {
  for (const char* how : {"--contain=always", "--contain=never"})
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      const Fixture f;
      const std::string fifo = (f.dir / "fifo").string();
      REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
      const pid_t child = fork();
      if (child == 0) {
        const int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execlp(ch_tar2dir().c_str(), "ch-tar2dir", how, fifo.c_str(), f.image.c_str(), nullptr);
        _exit(127);
      }
      const int out = open(fifo.c_str(), O_WRONLY);
      const std::string tar = small_tar().bytes();
      REQUIRE(write(out, tar.data(), 2048) == 2048);
      for (int tries = 0; tries < 100 && f.beside().empty(); ++tries) usleep(20000);
      usleep(50000);
      kill(child, signal);
      int status = 0;
      waitpid(child, &status, 0);
      close(out);
      CAPTURE(how, signal, status);
      CHECK(WIFSIGNALED(status));
      CHECK(WTERMSIG(status) == signal);
      CHECK(f.beside().empty());
    }
}

TEST_CASE("list and check look and touch nothing", "[image][tool]") {
  const Fixture f;
  const Ran list = run({ch_tar2dir(), "--list", f.archive});
  CHECK(list.status == 0);
  CHECK(contains(list.out, "-rwxr-xr-x"));
  CHECK(contains(list.out, " /usr/f\n"));
  const Ran check = run({ch_tar2dir(), "--check", f.archive});
  CHECK(check.out == f.archive + " is good\n");
  std::string damaged = test::read_file(f.archive);
  damaged[damaged.size() - 6] = static_cast<char>(damaged[damaged.size() - 6] ^ 1);
  test::write_file(f.archive, damaged);
  CHECK(run({ch_tar2dir(), "--check", f.archive}).status == 1);
  CHECK(f.beside().empty());
}

TEST_CASE("the summary as JSON", "[image][tool]") {
  const Fixture f;
  const Ran ran = f.unpack({"--json"});
  const auto json = nlohmann::json::parse(ran.out);
  CHECK(json["format"] == "tar");
  CHECK(json["compression"] == "gzip");
  CHECK(json["files"] == 2);
  CHECK(json["directory"] == f.image);
}

TEST_CASE("standard input is an archive called -", "[image][tool]") {
  const Fixture f;
  CHECK(run({"sh", "-c", "cat \"$1\" | \"$2\" - \"$3\"", "sh", f.archive, ch_tar2dir(), f.image})
            .status == 0);
  CHECK(content(f.image + "/usr/f") == "content");
  CHECK(run({"sh", "-c", "\"$2\" - \"$3\" < \"$1\"", "sh", f.archive, ch_tar2dir(), f.image})
            .status == 0);
  const Ran empty = run({"sh", "-c", "\"$1\" - \"$2\" < /dev/null", "sh", ch_tar2dir(), f.image});
  CHECK(empty.status == 1);
  CHECK(contains(empty.err, "standard input: "));
}

TEST_CASE("an OCI layout in a directory is read in the container, too", "[image][tool]") {
  const TempDir dir;
  Tar layer;
  layer.file("usr/f", "content").file("x", "");
  const auto parts = test::image_parts({{layer.bytes()}, "gzip", {}}, test::Layout::oci);
  fs::create_directories(dir / "layout/blobs/sha256");
  for (const auto& [name, text] : parts) test::write_file(dir / ("layout/" + name), text);
  for (int i = 0; i < 300; ++i)  // blobs of other images
    test::write_file(dir / ("layout/blobs/sha256/" + test::sha256(std::to_string(i))), "x");
  for (const char* how : {"--contain=always", "--contain=never"}) {
    const Ran ran = run({ch_tar2dir(), how, (dir / "layout").string(), (dir / "i").string()});
    CAPTURE(how, ran.err);
    CHECK(ran.status == 0);
    CHECK(content(dir / "i/usr/f") == "content");
  }
}

TEST_CASE("the process that extracts has the image as root, no network, no other descriptor",
          "[image][tool]") {
  if (geteuid() != 0) return;  // only root may look into a process that others may not trace
  const Fixture f;
  const std::string fifo = (f.dir / "fifo").string();
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  const pid_t tool = fork();
  if (tool == 0) {
    const int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; ++fd) dup2(null, fd);
    for (const int fd : {7, 20, 300}) dup2(open("/", O_RDONLY), fd);  // inherited, say
    execlp(ch_tar2dir().c_str(), "ch-tar2dir", "--contain=always", fifo.c_str(), f.image.c_str(),
           nullptr);
    _exit(127);
  }
  const int out = open(fifo.c_str(), O_WRONLY);
  const std::string tar = small_tar().bytes();
  REQUIRE(write(out, tar.data(), 2048) == 2048);
  const std::string image = (f.dir / "at/.ch-tar2dir.image/image").string();
  std::string child;
  for (int tries = 0; tries < 1000 && child.empty(); ++tries, usleep(20000)) {
    std::ifstream list("/proc/" + std::to_string(tool) + "/task/" + std::to_string(tool) +
                       "/children");
    list >> child;
  }
  REQUIRE_FALSE(child.empty());
  const std::string proc = "/proc/" + child;
  struct stat root {
  }, tree{};
  REQUIRE(stat(image.c_str(), &tree) == 0);
  for (int tries = 0; tries < 1000 && root.st_ino != tree.st_ino; ++tries, usleep(20000))
    REQUIRE(stat((proc + "/root").c_str(), &root) == 0);
  CHECK(root.st_ino == tree.st_ino);
  CHECK(root.st_dev == tree.st_dev);
  usleep(100000);
  for (const char* space : {"user", "mnt", "net", "ipc"})
    CHECK(fs::read_symlink(proc + "/ns/" + space) !=
          fs::read_symlink(std::string("/proc/self/ns/") + space));
  std::ifstream mounts(proc + "/mountinfo");
  CHECK(std::count(std::istreambuf_iterator<char>(mounts), {}, '\n') == 1);
  for (const auto& entry : fs::directory_iterator(proc + "/fd")) {
    const std::string target = fs::read_symlink(entry.path()).string();
    CAPTURE(entry.path().string(), target);
    struct stat s {};
    REQUIRE(stat(entry.path().c_str(), &s) == 0);
    const bool ours = S_ISFIFO(s.st_mode) || target == "/dev/null" || s.st_dev == tree.st_dev;
    CHECK(ours);
    if (S_ISDIR(s.st_mode)) CHECK((target == "/" || fs::exists(image + target)));
  }
  std::ifstream status(proc + "/status");
  const std::string text{std::istreambuf_iterator<char>(status), {}};
  CHECK(contains(text, "NoNewPrivs:\t1"));
  close(out);
  int ended = 0;
  waitpid(tool, &ended, 0);
}
