// SPDX-License-Identifier: Apache-2.0
//
// ch-tar2dir from outside, as its users see it: messages, times, sparse files, attributes,
// listings, the container that it works in.

#include <sys/xattr.h>

#include <algorithm>
#include <fstream>

#include "tests/image/tool_fixture.hpp"

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

TEST_CASE("a usage error is status 64, with a hint at the help", "[image][tool]") {
  for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                {"a"},
                                                {"a", "b", "c"},
                                                {"--nonsense", "a", "b"},
                                                {"--max-size=x", "a", "b"},
                                                {"--max-size=99999999T", "a", "b"},
                                                {"-j0", "a", "b"},
                                                {"--platform=x", "a", "b"},
                                                {"--contain=maybe", "a", "b"},
                                                {"--list", "--check", "a"},
                                                {"", "b"},
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
                           "/none: can't open the archive: No such file or directory\n"
                           "ch-tar2dir: remedy: check the name, and where you are: pwd\n");
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

TEST_CASE("every refusal says what is wrong with which name, and what to do", "[image][tool]") {
  const Fixture f;
  const std::string at = (f.dir / "at").string(), text = (f.dir / "text").string();
  test::write_file(text, "no archive");
  fs::create_symlink(".", at + "/link");
  const std::string long_name(300, 'x');
  struct Case {
    std::string archive, destination, cause, remedy;
  };
  for (const Case& c : {
           Case{text, f.image, "text: this is not a tar archive", "name a tar archive"},
           {at, f.image, "/at: this directory is not an OCI layout", "give an archive"},
           {f.archive, text, "/text: this exists and is not a directory", "choose another name"},
           {f.archive, text + "/image", "/text: this is not a directory", "another place"},
           {f.archive, at + "/link", "/link: this is a link", "choose another name"},
           {f.archive, at + "/..", "be the name of a new directory", "give the image's own name"},
           {f.archive, at + "/" + long_name, "the name is too long", "at most 243 bytes"},
           {f.archive, "/proc/image", "/proc: can't make the image in this", "that you may write"},
           {text + "/a.tar", f.image, "can't open the archive: Not a directory", "check the name"},
       }) {
    const Ran ran = run({ch_tar2dir(), c.archive, c.destination});
    CAPTURE(c.archive, c.destination, ran.err);
    CHECK(ran.status == 1);
    CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 2);
    CHECK(contains(ran.err, c.cause));
    CHECK(contains(ran.err.substr(ran.err.find('\n')), "remedy: "));
    CHECK(contains(ran.err.substr(ran.err.find('\n')), c.remedy));
  }
  const Ran threads = f.unpack({"--threads=none"});
  CHECK(contains(threads.err, "--threads: \"none\" is not a valid N"));
  test::RunOptions closed;
  closed.in_child = [] { close(0); };
  const Ran input = run({ch_tar2dir(), "-", f.image}, closed);
  CHECK(contains(input.err, "standard input: can't open the archive: Bad file descriptor"));
  closed.environment = {"TMPDIR=/none"};
  const Ran temporary = run({ch_tar2dir(), "--check", f.archive}, closed);
  CHECK(contains(temporary.err, "/none: can't open the directory for temporary files"));
  if (geteuid() == 0) return;  // root may do all this
  fs::permissions(text, fs::perms(0));
  const Ran unreadable = run({ch_tar2dir(), text, f.image});
  CHECK(contains(unreadable.err, "can't open the archive: Permission denied"));
  CHECK(contains(unreadable.err, "remedy: ask its owner"));
  REQUIRE(f.unpack().status == 0);
  fs::permissions(f.image + "/ch", fs::perms(0));
  const Ran mark = f.unpack();
  fs::permissions(f.image + "/ch", fs::perms(0755));
  CHECK(contains(mark.err, f.image + ": can't tell whether this is an image: ch/unpacked.json: "));
}

TEST_CASE("options that choose an image are refused if there is nothing to choose",
          "[image][tool]") {
  const Fixture f;
  for (const char* option : {"--image=app:1", "--platform=linux/riscv64"})
    for (const char* what : {"--contain=always", "--contain=never", "--list", "--check"}) {
      std::vector<std::string> words = {ch_tar2dir(), option, what, f.archive};
      if (contains(what, "contain")) words.push_back(f.image);
      const Ran ran = run(words);
      CAPTURE(option, what, ran.err);
      CHECK(ran.status == 64);
      CHECK(contains(ran.err, "this is the tar of a single file system"));
      CHECK(contains(ran.err, "remedy: leave out the choice"));
      CHECK(f.beside().empty());
    }
  test::Json config = test::config_for({small_tar().bytes()});
  config["architecture"] = "arm64";
  test::write_file(f.archive, test::image_archive({{small_tar().bytes()}, "none", config},
                                                  test::Layout::docker_new));
  const Ran other = f.unpack({"--platform=linux/riscv64"});
  CHECK(other.status == 1);
  CHECK(contains(other.err, "the image is for arm64, not for riscv64"));
  CHECK(f.unpack({"--platform=linux/arm64"}).status == 0);
}

TEST_CASE("a closed output pipe is an error, and the image is there", "[image][tool]") {
  for (const char* how : {"--contain=always", "--contain=never"}) {
    const Fixture f;
    test::RunOptions options;
    options.in_child = [] {
      int ends[2];
      if (pipe(ends) != 0 || close(ends[0]) != 0 || dup2(ends[1], 1) != 1) _exit(126);
      (void)std::signal(SIGPIPE, SIG_DFL);
    };
    const Ran ran = f.unpack({"-v", how}, options);
    CAPTURE(how, ran.err);
    CHECK(ran.status == 1);
    CHECK(contains(ran.err, "can't write to standard output: Broken pipe"));
    CHECK(contains(ran.err, "remedy: let the reader of the pipe read to the end"));
    CHECK(content(f.image + "/usr/f") == "content");
    CHECK(f.beside() == std::vector<std::string>{"image"});
  }
  const Fixture f;
  test::HeldTool tool(f, small_tar().bytes(), {});
  kill(tool.pid, SIGPIPE);
  tool.let_go();
  CHECK(tool.wait() == 0);
  CHECK(f.beside() == std::vector<std::string>{"image"});
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
    ch::images::UnpackOptions options = test::uncontained();
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

TEST_CASE("the files that ch-run needs are there", "[image][tool]") {
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

TEST_CASE("times are kept to the nanosecond, also those of links and directories",
          "[image][tool]") {
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

TEST_CASE("list and check change nothing", "[image][tool]") {
  const Fixture f;
  const Ran list = run({ch_tar2dir(), "--list", f.archive});
  CHECK(list.status == 0);
  CHECK(contains(list.out, "-rwxr-xr-x"));
  CHECK(contains(list.out, " /usr/f\n"));
  const Ran check = run({ch_tar2dir(), "--check", f.archive});
  CHECK(check.out == f.archive + " is good\n");
  const std::string long_name = std::string(150, 'x') + '/' + std::string(150, 'y');
  test::write_file((f.dir / "long.tar").string(),
                   small_tar().pax({{"path", long_name}}).file("f", "").bytes());
  const Ran cut = run({ch_tar2dir(), "--list", (f.dir / "long.tar").string()});
  CHECK(contains(cut.out, " /" + long_name.substr(0, 200) + "...\n"));
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

TEST_CASE("files far apart in the archive don't exhaust the blocks", "[image][tool]") {
  Tar tar;
  for (int file = 0; file < 60; ++file) {
    for (int i = 0; i < 2100; ++i) tar.add({"dev/null", '3', "", "", 0600});  // over 1 MiB
    tar.file("f" + std::to_string(file), "small");
  }
  const Fixture f;
  for (const char* filter : {"none", "gzip"}) {
    test::write_file(f.archive, test::compress(tar.bytes(), filter));
    const Ran ran = run({"timeout", "200", ch_tar2dir(), "--no-sync", f.archive, f.image});
    CAPTURE(filter, ran.err);
    CHECK(ran.status == 0);
    CHECK(content(f.image + "/f59") == "small");
  }
}

TEST_CASE("an archive that is truncated while it is read is an error", "[image][tool]") {
  Tar tar;
  for (int i = 0; i < 60; ++i) tar.file("f" + std::to_string(i), std::string(1 << 20, 'x'));
  const std::string whole = tar.bytes();
  const TempDir dir("/dev/shm");
  const std::string archive = (dir / "a.tar").string();
  for (const char* how : {"--contain=always", "--contain=never"}) {
    int status = 0;
    for (int tries = 0; tries < 50 && status == 0; ++tries) {  // 0: it was faster than we
      fs::remove_all(dir / "i");
      test::write_file(archive, whole);
      const pid_t child = fork();
      if (child == 0) {
        dup2(open((dir / "err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
        execlp(ch_tar2dir().c_str(), "ch-tar2dir", "-q", "--no-sync", how, archive.c_str(),
               (dir / "i").c_str(), nullptr);
        _exit(127);
      }
      const fs::path first = dir / ".ch-tar2dir.i/image/f0";
      while (!fs::exists(first) && waitpid(child, &status, WNOHANG) == 0) usleep(100);
      REQUIRE(truncate(archive.c_str(), 1 << 20) == 0);
      waitpid(child, &status, 0);
    }
    const std::string err = test::read_file(dir / "err");
    CAPTURE(how, status, err);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 1);
    CHECK(contains(err, "the archive was truncated"));
    CHECK_FALSE(fs::exists(dir / "i"));
    CHECK_FALSE(fs::exists(dir / ".ch-tar2dir.i"));
  }
}

TEST_CASE("without user namespaces it unpacks all the same and says so, or refuses if told to",
          "[image][tool]") {
  const Fixture f;
  const auto without_namespaces = [&](const char* how) {
    return run({"unshare", "-Ur", "sh", "-c",
                "echo 0 > /proc/sys/user/max_user_namespaces || exit 77; exec \"$@\"", "sh",
                ch_tar2dir(), how, f.archive, f.image});
  };
  const Ran refused = without_namespaces("--contain=always");
  SKIP_UNLESS(refused.status != 77 && !contains(refused.err, "unshare:"), "no limit of our own");
  CHECK(refused.status == 1);
  CHECK(contains(refused.err, "can't extract in a container: "));
  CHECK(f.beside().empty());
  const Ran ran = without_namespaces("--contain=auto");
  CAPTURE(ran.err);
  CHECK(ran.status == 0);
  CHECK(contains(ran.out, "note: extracted without a container: "));
  CHECK(content(f.image + "/usr/f") == "content");
}

TEST_CASE("the process that extracts has the image as root, no network, no other descriptor",
          "[image][tool]") {
  if (geteuid() != 0) return;  // only root may look into a process that others may not trace
  const Fixture f;
  test::HeldTool tool(f, small_tar().bytes(), {"--contain=always"}, [] {
    for (const int fd : {7, 20, 300}) dup2(open("/", O_RDONLY), fd);  // inherited, say
  });
  const std::string image = (f.dir / "at/.ch-tar2dir.image/image").string();
  const std::string task = "/proc/" + std::to_string(tool.pid) + "/task/";
  std::string child;
  REQUIRE(test::in_time([&] {
    std::ifstream list(task + std::to_string(tool.pid) + "/children");
    return static_cast<bool>(list >> child);
  }));
  const std::string proc = "/proc/" + child;
  struct stat root {
  }, tree{};
  REQUIRE(stat(image.c_str(), &tree) == 0);
  const auto lines_of_mounts = [&] {
    std::ifstream mounts(proc + "/mountinfo");
    return std::count(std::istreambuf_iterator<char>(mounts), {}, '\n');
  };
  CHECK(test::in_time([&] {
    return stat((proc + "/root").c_str(), &root) == 0 && root.st_ino == tree.st_ino &&
           root.st_dev == tree.st_dev && lines_of_mounts() == 1;
  }));
  for (const char* space : {"user", "mnt", "net", "ipc"})
    CHECK(fs::read_symlink(proc + "/ns/" + space) !=
          fs::read_symlink(std::string("/proc/self/ns/") + space));
  std::string other;  // a descriptor of something else
  CHECK(test::in_time([&] {
    other.clear();
    for (const auto& entry : fs::directory_iterator(proc + "/fd")) {
      std::error_code gone;
      const std::string target = fs::read_symlink(entry.path(), gone).string();
      struct stat s {};
      if (gone || stat(entry.path().c_str(), &s) != 0) continue;
      const bool ours = S_ISFIFO(s.st_mode) || target == "/dev/null" || s.st_dev == tree.st_dev;
      const bool inside = !S_ISDIR(s.st_mode) || target == "/" || fs::exists(image + target);
      if (!ours || !inside) other = target;
    }
    return other.empty();
  }));
  CAPTURE(other);
  CHECK(other.empty());
  CHECK(test::in_time([&] {
    std::ifstream status(proc + "/status");
    const std::string text{std::istreambuf_iterator<char>(status), {}};
    return contains(text, "NoNewPrivs:\t1");
  }));
}
