// SPDX-License-Identifier: Apache-2.0
//
// ch-fromhost from outside: what is injected runs in the image, a second run changes no
// byte, --remove restores the image, links in the image can't lead out, and every failure
// leaves the image as it was.

#include "apps/ch-fromhost/option_table.hpp"
#include "tests/inject/host_image.hpp"
#include "tests/support/filter_calls.hpp"

using test::contains;
using test::FromHost;
using test::inject_fixture;
using test::Ran;
namespace fs = std::filesystem;

namespace {
const std::string library = inject_fixture("lib/libcharlie_answer.so.1.0");
const std::string program = inject_fixture("bin/charlie_ask");

void put_program(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  test::write_file(path, text);
  fs::permissions(path, fs::perms(0755));
}
}  // namespace

TEST_CASE("a program and its library are injected, found and run", "[inject][tool]") {
  const FromHost f;
  const Ran ran = f({"-v", "--path", program, "--path", library});
  CAPTURE(ran.out, ran.err);
  REQUIRE(ran.status == 0);
  CHECK(ran.err.empty());
  CHECK(contains(ran.out, "injecting into image: " + f.image.string() + "\n"));
  CHECK(contains(ran.out, program + " -> /usr/bin (inferred: it is an ELF program)"));
  CHECK(contains(ran.out, library + " -> /usr/local/lib (inferred: it is an ELF shared object "
                                    "with soname libcharlie_answer.so.1)"));
  CHECK(contains(ran.out, "ran ldconfig"));
  CHECK(ran.out.ends_with("done\n"));
  const Ran asked = f.inside({"charlie_ask"});
  CAPTURE(asked.err);
  CHECK(asked.out == "the answer is 42\n");
  CHECK(fs::read_symlink(f.image / "usr/local/lib/libcharlie_answer.so.1") ==
        "libcharlie_answer.so.1.0");
  CHECK_FALSE(fs::exists(f.image / "var/cache/ldconfig"));
}

TEST_CASE("a second run changes no byte, and a removal restores the image", "[inject][tool]") {
  const FromHost f;
  test::write_file(f.image / "usr/bin/charlie_ask", "the image's own");
  const auto before = test::everything(f.image);
  REQUIRE(f({"-p", program, "-p", library}).status == 0);
  const auto first = test::everything(f.image, true);
  const Ran second = f({"-p", program, "-p", library});
  CHECK(second.status == 0);
  CHECK(second.out == "nothing to do: all of it is in the image already\ndone\n");
  const auto again = test::everything(f.image, true);
  INFO(test::difference(first, again));
  CHECK(first == again);
  CHECK(test::read_file(f.image / "usr/bin/charlie_ask") == test::read_file(program));

  const Ran listed = f({"--list"});
  CHECK(listed.out ==
        "/usr/bin/charlie_ask\n/usr/local/lib/libcharlie_answer.so.1.0\n"
        "/usr/local/lib/libcharlie_answer.so.1\n");
  CHECK(contains(f({"--list", "-v"}).out, "replaces a file of the image"));
  CHECK(f({"--remove"}).out == "done\n");
  const auto after = test::everything(f.image);
  INFO(test::difference(before, after));
  CHECK(before == after);
  CHECK(f({"--remove"}).out == "nothing to do: nothing is injected\n");
}

TEST_CASE("what the user changed since stays when the injection is removed", "[inject][tool]") {
  const FromHost f;
  REQUIRE(f({"-p", program, "-p", library}).status == 0);
  test::write_file(f.image / "usr/bin/charlie_ask", "mine");
  const Ran removed = f({"--remove"});
  CHECK(removed.status == 0);
  CHECK(contains(removed.err, "/usr/bin/charlie_ask was changed since"));
  CHECK(test::read_file(f.image / "usr/bin/charlie_ask") == "mine");
  CHECK_FALSE(fs::exists(f.image / "usr/local/lib/libcharlie_answer.so.1.0"));
  CHECK_FALSE(fs::exists(f.image / "ch"));
}

TEST_CASE("the original of a file that the user has changed since is kept, and named",
          "[inject][tool]") {
  const FromHost f;
  test::write_file(f.image / "usr/bin/charlie_ask", "the image's own");
  REQUIRE(f({"-p", program}).status == 0);
  test::write_file(f.image / "usr/bin/charlie_ask", "mine");
  const Ran removed = f({"--remove"});
  CAPTURE(removed.err);
  CHECK(removed.status == 0);
  CHECK(test::read_file(f.image / "usr/bin/charlie_ask") == "mine");
  const std::string kept = "/ch/injected.d/1";
  CHECK(contains(removed.err, "what it replaced is kept as " + kept + "\n"));
  REQUIRE(fs::exists(f.image / kept.substr(1)));
  CHECK(test::read_file(f.image / kept.substr(1)) == "the image's own");
  // Nor does a later injection touch it.
  REQUIRE(f({"-p", program}).status == 0);
  REQUIRE(f({"--remove"}).status == 0);
  CHECK(test::read_file(f.image / "usr/bin/charlie_ask") == "mine");
  CHECK(test::read_file(f.image / kept.substr(1)) == "the image's own");
}

TEST_CASE("an empty directory of ours that a run could not remove is removed by the next",
          "[inject][tool]") {
  const FromHost f;
  REQUIRE(f({"-p", program}).status == 0);
  const auto whole = test::everything(f.image);
  for (const char* left : {"ch/injected.d", ".ch-fromhost.new"}) {
    fs::create_directory(f.image / left);
    CHECK(f({"-p", program}).status == 0);
    const auto after = test::everything(f.image);
    INFO(test::difference(whole, after));
    CHECK(after == whole);
  }
}

TEST_CASE("a newer file takes the place of the one injected before", "[inject][tool]") {
  const FromHost f;
  const std::string file = f.dir / "tool";
  put_program(file, "#!/bin/sh\necho one\n");
  test::write_file(f.image / "usr/bin/tool", "the image's own");
  REQUIRE(f({"-p", file}).status == 0);
  CHECK(f.inside({"tool"}).out == "one\n");
  put_program(file, "#!/bin/sh\necho two!\n");
  REQUIRE(f({"-p", file}).status == 0);
  CHECK(f.inside({"tool"}).out == "two!\n");
  REQUIRE(f({"--remove"}).status == 0);
  CHECK(test::read_file(f.image / "usr/bin/tool") == "the image's own");
}

TEST_CASE("--dry-run says everything and changes nothing", "[inject][tool]") {
  const FromHost f;
  const auto before = test::everything(f.image, true);
  const Ran ran = f({"--dry-run", "-p", program, "-p", library});
  CHECK(ran.status == 0);
  CHECK(contains(ran.out, program + " -> /usr/bin (inferred: it is an ELF program)"));
  CHECK(contains(ran.out, "ln -s libcharlie_answer.so.1.0 /usr/local/lib/libcharlie_answer.so.1"));
  CHECK(contains(ran.out, "would run ldconfig"));
  CHECK(before == test::everything(f.image, true));
}

TEST_CASE("--dest applies to what follows it, and only to that", "[inject][tool]") {
  const FromHost f;
  fs::create_directory(f.image / "corge");
  const std::string list = f.dir / "list";
  const std::string data = f.dir / "quux";
  test::write_file(data, "data");
  test::write_file(list, library + "\n");
  const Ran ran =
      f({"-p", program, "--dest", "/corge", "--file", list, "-d", "/etc", "--cmd", "echo " + data});
  CAPTURE(ran.err);
  REQUIRE(ran.status == 0);
  CHECK(fs::exists(f.image / "usr/bin/charlie_ask"));
  CHECK(fs::exists(f.image / "corge/libcharlie_answer.so.1.0"));
  CHECK_FALSE(fs::exists(f.image / "corge/libcharlie_answer.so.1"));
  CHECK(test::read_file(f.image / "etc/quux") == "data");
}

TEST_CASE("-v says which rule won if a file and its path disagree", "[inject][tool]") {
  const FromHost f;
  const std::string odd = f.dir / "binutils/libodd.so.1";
  fs::create_directories(f.dir / "binutils");
  fs::copy_file(library, odd);
  const Ran ran = f({"-v", "-p", odd});
  CHECK(ran.status == 0);
  CHECK(contains(ran.out, odd + " is classified as shared library: it is an ELF shared object with "
                                "soname libcharlie_answer.so.1 (its path contains /bin or /sbin, "
                                "which says executable)"));
  CHECK(fs::exists(f.image / "usr/local/lib/libodd.so.1"));
}

TEST_CASE("colons, newlines and non-text bytes in a path do no harm", "[inject][tool]") {
  const FromHost f;
  const auto before = test::everything(f.image);
  std::vector<std::string> names = {"a:b", "new\nline", "not\xff\xfeutf8", " blank ", "-p", "%41"};
  std::string list;
  fs::create_directory(f.dir / "odd");
  for (const std::string& name : names) {
    put_program(f.dir / "odd" / name, "#!/bin/sh\necho run\n");
    list += (f.dir / "odd" / name).string() + '\0';
  }
  test::write_file(f.dir / "list", list);
  const Ran ran = f({"-v", "--file", f.dir / "list"});
  CAPTURE(ran.out, ran.err);
  REQUIRE(ran.status == 0);
  for (const std::string& name : names) CHECK(f.inside({"/usr/bin/" + name}).out == "run\n");
  CHECK(contains(f({"--list"}).out, "/usr/bin/new\\012line\n"));
  CHECK(contains(f({"--file", f.dir / "list"}).out, "nothing to do"));
  REQUIRE(f({"--remove"}).status == 0);
  CHECK(before == test::everything(f.image));
}

TEST_CASE("links in the image lead only into the image", "[inject][tool]") {
  struct Case {
    const char* place;   // becomes a link
    const char* target;  // CANARY is replaced
    bool works;
  };
  const Case cases[] = {
      {"usr/bin", "CANARY", true},
      {"usr/bin", "/elsewhere", true},
      {"usr/bin", "../../../../CANARY", true},
      {"usr", "CANARY", true},
      {"usr/bin", "loop", false},
      {"usr/local/lib", "CANARY", true},
      {"ch", "CANARY", false},
      {"ch", "/elsewhere", true},
      {"etc/ld.so.cache", "CANARY/cache", true},
      {"var", "CANARY", true},
      {"usr/bin/charlie_ask", "CANARY/file", true},
      {"usr/local/lib/libcharlie_answer.so.1", "CANARY/file", true},
      {"etc/ld.so.conf", "CANARY/conf", false},
      {"ch/injected.json", "CANARY/file", true},
      {"ch/injected.d", "CANARY", false},
      {"ch/.ch-fromhost.journal", "CANARY/file", true},
  };
  for (const int answer : {0, ENOSYS})  // of openat2; 0: the kernel's own
    for (const Case& c : cases) {
      FromHost f;
      if (answer != 0)
        f.options.in_child = [answer] {
          test::filter_calls({__NR_openat2}, static_cast<unsigned>(answer));
        };
      const fs::path canary = f.dir / "canary";
      fs::create_directory(canary);
      for (const char* name : {"file", "cache", "conf"})
        test::write_file(canary / name, "untouched");
      const auto outside = test::everything(canary, true);
      std::string target = c.target;
      if (const auto at = target.find("CANARY"); at != std::string::npos)
        target.replace(at, 6, at == 0 ? canary.string() : canary.string().substr(1));
      const fs::path place = f.image / c.place;
      fs::create_directories(place.parent_path());
      fs::remove_all(place);
      fs::create_symlink(target, place);
      if (target == "loop") fs::create_symlink("bin", f.image / "usr/loop");
      fs::create_directory(f.image / "elsewhere");
      const auto before = test::everything(f.image);
      const Ran ran = f({"-p", program, "-p", library});
      CAPTURE(answer, c.place, target, ran.out, ran.err);
      CHECK(outside == test::everything(canary, true));
      if (ran.status != 0) {
        const auto after = test::everything(f.image);
        INFO(test::difference(before, after));
        CHECK(before == after);
      }
      if (c.works) CHECK(ran.status == 0);
      if (ran.status == 0) {
        CHECK(f({"--remove"}).status == 0);
        CHECK(outside == test::everything(canary, true));
      }
    }
}

TEST_CASE("a link under the temporary name of a file is not followed", "[inject][tool]") {
  const FromHost f;
  const fs::path canary = f.dir / "canary";
  test::write_file(canary, "untouched");
  for (const char* directory : {"usr/bin", "usr/local/lib", "ch"}) {
    fs::create_directories(f.image / directory);
    for (int number = 1; number < 9; ++number)
      fs::create_symlink(canary,
                         f.image / directory / (".ch-fromhost." + std::to_string(number) + ".new"));
  }
  const Ran ran = f({"-p", program, "-p", library});
  CAPTURE(ran.err);
  CHECK(test::read_file(canary) == "untouched");
  CHECK((ran.status == 0 || contains(ran.err, "can't make file: File exists")));
}

TEST_CASE("a copy has the permissions of its source, but no set-id bits", "[inject][tool]") {
  const FromHost f;
  const fs::path tool = f.dir / "tool";
  put_program(tool, "#!/bin/sh\n");
  for (const auto& [mode, copied] :
       {std::pair<unsigned, unsigned>{06755, 0755}, {04511, 0511}, {0600, 0600}, {01750, 0750}}) {
    REQUIRE(chmod(tool.c_str(), mode) == 0);
    const Ran ran = f({"-d", "/usr/bin", "-p", tool});
    CAPTURE(mode, ran.err);
    CHECK(ran.status == 0);
    struct stat status {};
    REQUIRE(lstat((f.image / "usr/bin/tool").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == copied);
  }
}

TEST_CASE("nothing but a regular file is read or replaced", "[inject][tool]") {
  const FromHost f;
  REQUIRE(mkfifo((f.image / "etc/ld.so.cache").c_str(), 0644) == 0);
  REQUIRE(mkfifo((f.dir / "fifo").c_str(), 0644) == 0);
  fs::create_directory(f.image / "usr/bin/charlie_ask");
  const auto names = [&f] {
    std::string text;
    for (const auto& e : fs::recursive_directory_iterator(f.image))
      text += e.path().string() + "\n";
    return text;
  };
  const std::string before = names();
  const Ran fifo = f({"-p", f.dir / "fifo"});
  CHECK(fifo.status == 1);
  CHECK(contains(fifo.err, "cannot inject (it is not a regular file)"));
  const Ran folder = f({"-p", f.dir.path().string()});
  CHECK(contains(folder.err, "cannot inject (it is a directory)"));
  const Ran directory = f({"-p", program, "-p", library});
  CHECK(directory.status == 1);
  CHECK(contains(directory.err,
                 "/usr/bin/charlie_ask: the image has a directory where a file should go"));
  CHECK(before == names());
}

TEST_CASE("each refusal names cause and remedy, and the image stays as it was", "[inject][tool]") {
  const FromHost f;
  const auto before = test::everything(f.image, true);
  const std::string data = f.dir / "data";
  const std::string empty = f.dir / "empty";
  test::write_file(data, "data");
  test::write_file(empty, "\n");
  struct Case {
    std::vector<std::string> words;
    const char* says;
  };
  const Case cases[] = {
      {{"-p", data}, ": this is neither a program nor a library, and no place is given for it\n"},
      {{"-p", "/nowhere/x"}, "/nowhere/x: cannot inject (No such file or directory)\n"},
      {{"-p", program, "-p", "/nowhere/x"}, "cannot inject"},
      {{"-d", "etc", "-p", data}, "etc: this is not an absolute path"},
      {{"-d", "/nowhere", "-p", data}, ": this is not a directory\n"},
      {{"-d", "/etc/passwd", "-p", data}, ": this is not a directory\n"},
      {{"-f", "/nowhere/x"},
       "/nowhere/x: can't read the list of files (No such file or directory)"},
      {{"-f", empty}, "empty file list"},
      {{"-c", "false and more"}, "false and more: command failed (it failed with status 1)"},
      {{"-c", "/nowhere/x"},
       "/nowhere/x: command failed (it can't be started: No such file or directory)"},
      {{"-c", " "}, " : command failed (it is empty)\n"},
      {{"--nvidia"},
       "nvidia-container-cli failed (it can't be started: No such file or directory); does this "
       "host have GPUs?"},
      {{"--cray-mpi-cxi"}, "CH_FROMHOST_OFI_CXI is not set"},
      {{"--cray-cxi"}, "CH_FROMHOST_OFI_CXI is not set"},
      {{"--cray-mpi-gni"}, "CH_FROMHOST_OFI_GNI is not set"},
      {{"--cray-gni"}, "CH_FROMHOST_OFI_GNI is not set"},
      {{"--fi-path"}, ": the image has no libfabric.so\n"},
      {{"--print-fi"}, ": the image has no libfabric.so\n"},
      {{"-p", inject_fixture("opt/cray/libfabric.so")}, ": the image has no libfabric.so\n"},
      {{"-p", inject_fixture("lib/libcharlie-fi.so")}, ": the image has no libfabric.so\n"},
  };
  for (const Case& c : cases) {
    const Ran ran = f(c.words);
    CAPTURE(c.says, ran.err);
    CHECK(ran.status == 1);
    CHECK(ran.err.starts_with("ch-fromhost: error: "));
    CHECK(contains(ran.err, c.says));
    CHECK(contains(ran.err, "\nch-fromhost: remedy: "));
    CHECK(before == test::everything(f.image, true));
  }
}

TEST_CASE("a usage error of ch-fromhost is status 64, with a hint at the help", "[inject][tool]") {
  const FromHost f;
  const std::string image = f.image;
  for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                {"--nonsense"},
                                                {image, image},
                                                {image},
                                                {"--path=", image},
                                                {"--cmd=", image},
                                                {"--file=", image},
                                                {"--dest=", image},
                                                {"-p"},
                                                {"--list", "-p", program, image}}) {
    std::vector<std::string> all = {test::ch_fromhost()};
    all.insert(all.end(), words.begin(), words.end());
    const Ran ran = test::run(all, f.options);
    CAPTURE(ran.err);
    CHECK(ran.status == 64);
    CHECK(contains(ran.err, "--help"));
  }
  CHECK(contains(test::run({test::ch_fromhost(), "--help"}).out, "--cray-mpi-cxi"));
  CHECK(contains(test::run({test::ch_fromhost(), "-h"}).out, "Usage: ch-fromhost"));
  CHECK(contains(test::run({test::ch_fromhost(), "--version"}).out, "ch-fromhost "));
  const Ran file = test::run({test::ch_fromhost(), "-p", program, program});
  CHECK(contains(file.err, program + ": this is not a directory, but an image must be one\n"));
  const Ran nothing = test::run({test::ch_fromhost(), "-p", program, "/nowhere/x"});
  CHECK(contains(nothing.err, ": there is nothing at this path\n"));
}

TEST_CASE("of two tasks neither is done, and help and version do nothing else", "[inject][tool]") {
  const FromHost f;
  REQUIRE(f({"-p", program}).status == 0);
  const auto before = test::everything(f.image, true);
  const std::vector<std::string> tasks = {"--list", "--remove", "--lib-path", "--fi-path"};
  for (const std::string& one : tasks) {
    for (const std::string& other : tasks) {
      if (one == other) continue;
      const Ran ran = f({one, other});
      CAPTURE(one, other, ran.out, ran.err);
      CHECK(ran.status == 64);
      CHECK(ran.out.empty());
      CHECK(contains(ran.err, one + " and " + other + " can't be given together"));
    }
    for (const auto& [source, value] : {std::pair<std::string, std::string>{"-p", program},
                                        {"-f", "/nowhere"},
                                        {"-c", "false"},
                                        {"--cdi", ""},
                                        {"--nvidia", ""},
                                        {"--cray-cxi", ""}}) {
      std::vector<std::string> words = {one, source};
      if (!value.empty()) words.push_back(value);
      const Ran ran = f(words);
      CAPTURE(one, source, ran.err);
      CHECK(ran.status == 64);
      CHECK(ran.out.empty());
      CHECK(contains(ran.err, one + " injects nothing"));
    }
    for (const auto& [about, says] : {std::pair<std::string, std::string>{"--help", "Usage: "},
                                      {"--usage", "Usage: "},
                                      {"--version", "ch-fromhost "}}) {
      for (const Ran& ran : {f({one, about}), f({about, one})}) {
        CAPTURE(one, about, ran.out, ran.err);
        CHECK(ran.status == 0);
        CHECK(ran.out.starts_with(says));
      }
    }
  }
  CHECK(before == test::everything(f.image, true));
  CHECK(f({"--list", "--list"}).status == 0);
  CHECK(f({"--print-lib", "--lib-path"}).status == 0);
}

TEST_CASE("a library that needs a newer one than the image has is refused, by name",
          "[inject][tool]") {
  const FromHost f;
  fs::copy_file(inject_fixture("image/libcharlie_versioned.so.1"),
                f.image / "usr/lib/libcharlie_versioned.so.1");
  const auto before = test::everything(f.image, true);
  const std::string user = inject_fixture("lib/libcharlie_user.so.1");
  const Ran ran = f({"-p", program, "-p", user});
  CHECK(ran.status == 1);
  CHECK(contains(ran.err, user +
                              ": the image's libcharlie_versioned.so.1 is too old: this file needs "
                              "CHARLIE_1.9, and CHARLIE_1.0 is the newest it has"));
  CHECK(before == test::everything(f.image, true));
  // With the newer one along, all is well.
  CHECK(f({"-p", user, "-p", inject_fixture("lib/libcharlie_versioned.so.1")}).status == 0);
}

TEST_CASE("without glibc or ldconfig in the image, there is a clear error", "[inject][tool]") {
  const FromHost f;
  SECTION("musl") {
    fs::remove(f.image / "sbin/ldconfig");
    fs::remove(f.image / test::host_libc().relative_path());
    test::write_file(f.image / "lib/ld-musl-x86_64.so.1", "");
    const auto before = test::everything(f.image, true);
    const Ran libraries = f({"-p", library});
    CHECK(libraries.status == 1);
    CHECK(contains(libraries.err, "the image has musl, which has no ldconfig"));
    const Ran ran = f({"-p", program});
    CHECK(ran.status == 1);
    CHECK(contains(ran.err, "the image has musl, not glibc, which this file needs (libc.so.6)"));
    CHECK(before == test::everything(f.image, true));
    CHECK(f({"--no-ldconfig", "-p", library}).status == 0);
    CHECK(f({"--lib-path"}).out == "/lib\n");
  }
  SECTION("no ldconfig") {
    fs::remove(f.image / "sbin/ldconfig");
    const auto before = test::everything(f.image, true);
    const Ran ran = f({"-p", library});
    CHECK(ran.status == 1);
    CHECK(contains(ran.err, "the image has no ldconfig"));
    CHECK(before == test::everything(f.image, true));
    CHECK(f({"--no-ldconfig", "-p", library, "-p", program}).status == 0);
  }
  SECTION("one that fails, dies, or does nothing") {
    for (const auto& [script, says] :
         {std::pair("echo broken; exit 3", "ldconfig error: it exited with 3; it said: broken"),
          {"echo rubbish > /etc/ld.so.cache; rm -f /etc/ld.so.conf; exit 1", "ldconfig error"},
          {"exit 0", "the cache of the image's loader has no libcharlie_answer.so.1"}}) {
      put_program(f.image / "sbin/ldconfig", std::string("#!/bin/sh\n") + script + "\n");
      test::write_file(f.image / "etc/ld.so.cache", "as it was");
      test::write_file(f.image / "etc/ld.so.conf", "/usr/local/lib\n");
      const auto before = test::everything(f.image);
      const Ran ran = f({"-p", library});
      CAPTURE(script, ran.err);
      CHECK(ran.status == 1);
      CHECK(contains(ran.err, says));
      CHECK(test::read_file(f.image / "etc/ld.so.cache") == "as it was");
      CHECK_FALSE(fs::exists(f.image / "usr/local/lib/libcharlie_answer.so.1.0"));
      CHECK_FALSE(fs::exists(f.image / "ch"));
    }
  }
}

TEST_CASE("the image's ldconfig sees only the image", "[inject][tool]") {
  const FromHost f;
  put_program(f.image / "sbin/ldconfig", "#!/bin/sh\nexec > /saw 2>&1\nls -A /proc /dev /home " +
                                             f.dir.path().string() + "\necho $$\nid -u\nexit 0\n");
  (void)f({"-p", library});
  // It failed the check, so what it wrote itself is all that is left.
  const std::string saw = test::read_file(f.image / "saw");
  CHECK(contains(saw, "/proc:\n"));
  CHECK(contains(saw, "No such file or directory"));
  CHECK(saw.ends_with("\n1\n0\n"));
  CHECK_FALSE(contains(saw, "null"));
}

TEST_CASE("the image's ldconfig finds one open descriptor, the socket that ch-fromhost waits on",
          "[inject][tool]") {
  const FromHost f;
  // A directory of the host's tree would be a way out of the image, by "..".
  put_program(f.image / "sbin/ldconfig",
              "#!/bin/sh\nexec > /saw\n"
              "for n in 3 4 5 6 7 8 9; do (eval \": <&$n\") 2> /dev/null && echo open; done\n"
              "exit 0\n");
  (void)f({"-p", library});
  CHECK(test::read_file(f.image / "saw") == "open\n");
}

TEST_CASE("read-only directories that the user owns don't matter, and stay read-only",
          "[inject][tool]") {
  const FromHost f;
  for (const char* d : {"usr/bin", "usr/local/lib", ""})
    fs::permissions(f.image / d, fs::perms(0555));
  const Ran ran = f({"-p", program, "-p", library});
  CAPTURE(ran.err);
  CHECK(ran.status == 0);
  CHECK(f.inside({"charlie_ask"}).out == "the answer is 42\n");
  for (const char* d : {"usr/bin", "usr/local/lib", ""})
    CHECK(fs::status(f.image / d).permissions() == fs::perms(0555));
  CHECK(f({"--remove"}).status == 0);
  for (const char* d : {"usr/bin", "usr/local/lib", ""})
    CHECK(fs::status(f.image / d).permissions() == fs::perms(0555));
  CHECK_FALSE(fs::exists(f.image / "ch"));
}

TEST_CASE("two files for one destination are refused, one file named twice is not",
          "[inject][tool]") {
  const FromHost f;
  put_program(f.dir / "a/tool", "#!/bin/sh\necho a\n");
  put_program(f.dir / "b/tool", "#!/bin/sh\necho b\n");
  fs::create_symlink("../a/tool", f.dir / "b/../linked");
  const Ran two = f({"-p", f.dir / "a/tool", "-p", f.dir / "b/tool"});
  CHECK(two.status == 1);
  CHECK(contains(two.err, "would both become /usr/bin/tool"));
  CHECK(f({"-p", f.dir / "a/tool", "-p", f.dir / "a/tool"}).status == 0);
}

TEST_CASE("--nvidia injects what nvidia-container-cli lists", "[inject][tool]") {
  const FromHost f;
  put_program(f.dir / "driver/bin/nvidia-smi", "#!/bin/sh\necho NVIDIA-SMI\n");
  fs::create_directories(f.dir / "driver/lib");
  fs::copy_file(library, f.dir / "driver/lib/libnvidia-ml.so.535.0");
  put_program(f.dir / "bin/nvidia-container-cli",
              "#!/bin/sh\n[ \"$*\" = 'list --binaries --libraries' ] || exit 1\n"
              "printf '%s\\n' " +
                  (f.dir / "driver/bin/nvidia-smi").string() + " " +
                  (f.dir / "driver/lib/libnvidia-ml.so.535.0").string() + "\n");
  const Ran ran = f({"-v", "--nvidia"});
  CAPTURE(ran.out, ran.err);
  CHECK(ran.status == 0);
  CHECK(contains(ran.out, "from nvidia-container-cli"));
  CHECK(f.inside({"nvidia-smi"}).out == "NVIDIA-SMI\n");
  CHECK(fs::exists(f.image / "usr/local/lib/libnvidia-ml.so.535.0"));
  put_program(f.dir / "bin/nvidia-container-cli", "#!/bin/sh\nexit 1\n");
  CHECK(contains(f({"--nvidia"}).err, "does this host have GPUs?"));
}

TEST_CASE("the host's libfabric replaces the image's, with what it needs", "[inject][tool]") {
  FromHost f;
  const fs::path lib = f.image / "usr/lib";
  fs::copy_file(inject_fixture("image/libfabric.so.1.2.3"), lib / "libfabric.so.1.2.3");
  fs::create_symlink("libfabric.so.1.2.3", lib / "libfabric.so.1");
  const auto before = test::everything(f.image);
  CHECK(f({"--fi-path"}).out == "/usr/lib\n");
  CHECK(f({"--print-fi"}).out == "/usr/lib\n");
  const std::string cray = inject_fixture("opt/cray/libfabric.so");
  f.options.environment.push_back("CH_FROMHOST_OFI_CXI=" + cray);
  f.options.environment.push_back("FI_PROVIDER=cxi");
  fs::create_directory(f.image / "ch");
  test::write_file(f.image / "ch/environment", "FI_PROVIDER_PATH=/x\n");
  const Ran ran = f({"-v", "--cray-mpi-cxi"});
  CAPTURE(ran.out, ran.err);
  REQUIRE(ran.status == 0);
  CHECK(contains(ran.err, "warning: FI_PROVIDER is set"));
  CHECK(contains(ran.err, "warning: the image's ch/environment sets FI_PROVIDER_PATH"));
  CHECK(fs::read_symlink(lib / "libfabric.so.1") == "libfabric.so");
  CHECK(test::read_file(lib / "libfabric.so") == test::read_file(cray));
  CHECK(fs::exists(f.image / "usr/local/lib/libcxi.so.1"));
  CHECK(test::read_file(f.image / "etc/ld.so.conf.d/ch-ofi.conf") ==
        inject_fixture("opt/cray").string() + "\n");
  const auto first = test::everything(f.image, true);
  const Ran again = f({"--cray-cxi"});
  CHECK(contains(again.out, "nothing to do"));
  CHECK(first == test::everything(f.image, true));
  CHECK(f({"--lib-path"}).out == "/usr/local/lib\n");
  REQUIRE(f({"--remove"}).status == 0);
  fs::remove_all(f.image / "ch");
  const auto after = test::everything(f.image);
  INFO(test::difference(before, after));
  CHECK(before == after);
}

TEST_CASE("a provider goes beside the image's libfabric", "[inject][tool]") {
  FromHost f;
  fs::create_directories(f.image / "opt/ofi/lib");
  fs::copy_file(inject_fixture("image/libfabric.so.1.2.3"), f.image / "opt/ofi/lib/libfabric.so");
  const std::string provider = inject_fixture("lib/libcharlie-fi.so");
  const auto before = test::everything(f.image);
  SECTION("as a path") {
    const Ran ran = f({"-v", "--path", provider});
    CAPTURE(ran.out, ran.err);
    REQUIRE(ran.status == 0);
    CHECK(contains(ran.out, "it is an ELF shared object that defines fi_prov_ini"));
    CHECK(contains(ran.out, "mkdir /opt/ofi/lib/libfabric"));
  }
  SECTION("through the environment of a Cray, and without the include line") {
    f.options.environment.push_back("CH_FROMHOST_OFI_GNI=" + provider);
    REQUIRE(f({"--cray-mpi-gni"}).status == 0);
  }
  CHECK(test::read_file(f.image / "opt/ofi/lib/libfabric/libcharlie-fi.so") ==
        test::read_file(provider));
  CHECK(test::read_file(f.image / "etc/ld.so.conf.d/ch-ofi.conf") ==
        inject_fixture("opt/cray").string() + "\n");
  CHECK(f({"--remove"}).status == 0);
  const auto after = test::everything(f.image);
  INFO(test::difference(before, after));
  CHECK(before == after);
}

TEST_CASE("FI_PROVIDER_PATH asks for --dest", "[inject][tool]") {
  FromHost f;
  fs::copy_file(inject_fixture("image/libfabric.so.1.2.3"), f.image / "usr/lib/libfabric.so");
  f.options.environment.push_back("FI_PROVIDER_PATH=/opt");
  const std::string provider = inject_fixture("lib/libcharlie-fi.so");
  CHECK(contains(f({"-p", provider}).err, "FI_PROVIDER_PATH is set, and no place is given"));
  CHECK(f({"-d", "/mnt", "-p", provider}).status == 0);
  CHECK(fs::exists(f.image / "mnt/libcharlie-fi.so"));
}

TEST_CASE("the manual page of ch-fromhost documents every option, and groff has no warning",
          "[inject][tool]") {
  const fs::path page =
      fs::path(test::ch_fromhost()).parent_path().parent_path() / "share/man/man1/ch-fromhost.1";
  const Ran shown = test::run({"man", "--warnings", "-E", "UTF-8", "-l", page});
  CHECK(shown.err.empty());
  const std::string source = test::read_file(page);
  for (const ch::cli::Option& o : ch_fromhost::table) {
    if (o.help[0] == '\0') continue;
    std::string name = "\\-\\-";
    for (const char* c = o.name; *c != '\0'; ++c) name += *c == '-' ? "\\-" : std::string(1, *c);
    CAPTURE(name);
    CHECK(contains(source, name));
  }
}
