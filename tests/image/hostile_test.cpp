// SPDX-License-Identifier: Apache-2.0
//
// Archives that try to escape. Beside the destination is a folder with a canary, and the
// archives know its path; each is unpacked by the tool in its container and without, and
// whatever the result, nothing outside the destination may have changed or been read.
// The expected result is given with each case, and in docs/unpack.md.

#include <sys/resource.h>

#include <functional>

#include "tests/image/image_archives.hpp"
#include "tests/support/process.hpp"

namespace {

using test::content;
using test::Layout;
using test::run;
using test::Tar;
using test::TempDir;
namespace fs = std::filesystem;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
std::string ch_tar2dir() { return test::tool("CH_TAR2DIR", CHARLIE_CH_TAR2DIR); }

/// A destination with something to break beside it.
struct Place {
  TempDir dir;
  std::string outside = (dir / "outside").string();
  Place() {
    fs::create_directories(dir / "outside/folder");
    test::write_file(dir / "outside/canary", "alive");
    test::write_file(dir / "outside/folder/file", "here");
    fs::create_directory(dir / "at");
  }
  [[nodiscard]] std::string image() const { return (dir / "at/image").string(); }
  /// The state of the host's files, as one text.
  [[nodiscard]] std::string state() const {
    std::string text;
    for (const auto& [path, what] : test::snapshot(dir / "outside")) text += path + what + '\n';
    return text;
  }
};

enum class Expect { refused, unpacked };

struct Case {
  std::string name;
  Expect expect;
  std::function<void(Tar&, const std::string& outside)> fill;
  std::function<void(const fs::path& image)> look = [](const fs::path&) {};
};

void check_case(const Case& c) {
  for (const char* how : {"--contain=always", "--contain=never"}) {
    Place place;
    Tar tar;
    c.fill(tar, place.outside);
    const std::string archive = (place.dir / "archive.tar").string();
    test::write_file(archive, tar.bytes());
    const std::string before = place.state();
    const test::Ran ran = run({ch_tar2dir(), how, "--no-sync", archive, place.image()});
    CAPTURE(c.name, how, ran.out, ran.err);
    CHECK(place.state() == before);
    if (c.expect == Expect::refused) {
      CHECK(ran.status == 1);
      CHECK(ran.err.find("ch-tar2dir: error: " + archive + ": ") == 0);
      CHECK(fs::is_empty(place.dir / "at"));
    } else {
      REQUIRE(ran.status == 0);
      c.look(place.image());
      CHECK(std::distance(fs::directory_iterator(place.dir / "at"), {}) == 1);
    }
  }
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all =
      {
          {"absolute name", Expect::unpacked,
           [](Tar& t, const std::string& out) { t.file(out + "/canary", "dead").file("/x", "x"); },
           [](const fs::path& image) { CHECK(content(image / "x") == "x"); }},
          {"name with ..", Expect::refused,
           [](Tar& t, const std::string&) { t.file("x", "").file("../outside/canary", "dead"); }},
          {"name with .. in the middle", Expect::refused,
           [](Tar& t, const std::string&) { t.file("a/../../outside/canary", "dead"); }},
          {"name that is ..", Expect::refused, [](Tar& t, const std::string&) { t.dir(".."); }},
          {"slashes and dots mean nothing", Expect::unpacked,
           [](Tar& t, const std::string&) { t.file(".//a///./b", "b").file("c", "c"); },
           [](const fs::path& image) { CHECK(content(image / "a/b") == "b"); }},
          {"link out, then a file through it", Expect::refused,
           [](Tar& t, const std::string& out) { t.symlink("l", out).file("l/canary", "dead"); }},
          {"relative link out, then a file through it", Expect::refused,
           [](Tar& t, const std::string&) {
             t.symlink("l", "../../../../outside").file("l/canary", "dead");
           }},
          {"link to a file outside, then a file of its name", Expect::unpacked,
           [](Tar& t, const std::string& out) {
             t.file("y", "").symlink("l", out + "/canary").file("l", "dead");
           },
           [](const fs::path& image) { CHECK(content(image / "l") == "dead"); }},
          {"chain of links out", Expect::refused,
           [](Tar& t, const std::string& out) {
             t.symlink("a", out).symlink("b", "a").symlink("c", "b/folder").file("c/file", "dead");
           }},
          {"links in a circle", Expect::refused,
           [](Tar& t, const std::string&) {
             t.symlink("a", "b").symlink("b", "a").file("a/x", "");
           }},
          {"directory, then a link of its name, then a file in it", Expect::refused,
           [](Tar& t, const std::string& out) {
             t.dir("d/").file("d/x", "x").symlink("d", out).file("d/canary", "dead");
           }},
          {"directory over a link out", Expect::unpacked,
           [](Tar& t, const std::string& out) {
             t.symlink("d", out).dir("d/", 0777).file("d/canary", "mine").file("z", "");
           },
           [](const fs::path& image) { CHECK(content(image / "d/canary") == "mine"); }},
          {"mode of a directory that became a link", Expect::unpacked,
           [](Tar& t, const std::string& out) {
             t.file("z", "").dir("d/", 0777).symlink("d", out + "/folder");
           }},
          {"hard link to a file outside, absolute", Expect::refused,
           [](Tar& t, const std::string& out) {
             t.hard_link("h", out + "/canary").file("h", "dead");
           }},
          {"hard link to a file outside, with ..", Expect::refused,
           [](Tar& t, const std::string&) { t.hard_link("h", "../../outside/canary"); }},
          {"hard link through a link out", Expect::refused,
           [](Tar& t, const std::string& out) { t.symlink("l", out).hard_link("h", "l/canary"); }},
          {"hard link to a link out, then content for it", Expect::unpacked,
           [](Tar& t, const std::string& out) {
             t.symlink("l", out + "/canary").hard_link("h", "l").file("h", "dead");
           },
           [](const fs::path& image) {
             CHECK(content(image / "h") == "dead");
             CHECK(fs::is_symlink(image / "l"));
           }},
          {"hard link with content of its own", Expect::unpacked,
           [](Tar& t, const std::string&) {
             t.file("f", "first").add({"h", '1', "", "f"}).file("g", "");
           },
           [](const fs::path& image) { CHECK(content(image / "h") == "first"); }},
          {"hard link to itself", Expect::refused,
           [](Tar& t, const std::string&) { t.hard_link("h", "h"); }},
          {"hard link to itself, of a file that is there", Expect::unpacked,
           [](Tar& t, const std::string&) {
             t.file("h", "kept").hard_link("./h", "h").file("i", "");
           },
           [](const fs::path& image) { CHECK(content(image / "h") == "kept"); }},
          {"hard link to itself through a link", Expect::unpacked,
           [](Tar& t, const std::string&) {
             t.dir("d/").file("d/h", "kept").symlink("l", "d").hard_link("l/h", "d/h");
           },
           [](const fs::path& image) { CHECK(content(image / "d/h") == "kept"); }},
          {"hard link to a directory", Expect::refused,
           [](Tar& t, const std::string&) { t.dir("d/").hard_link("h", "d"); }},
          {"hard link to the root", Expect::refused,
           [](Tar& t, const std::string&) { t.dir("d/").hard_link("h", "/"); }},
          {"hard link to what is not there", Expect::refused,
           [](Tar& t, const std::string&) { t.hard_link("h", "nothing"); }},
          {"hard link before its target", Expect::refused,
           [](Tar& t, const std::string&) { t.hard_link("h", "f").file("f", "late"); }},
          {"root as a link", Expect::refused,
           [](Tar& t, const std::string& out) { t.symlink("./", out).file("canary", "dead"); }},
          {"root as a file", Expect::refused, [](Tar& t, const std::string&) { t.file(".", "x"); }},
          {"file with members in it", Expect::refused,
           [](Tar& t, const std::string&) { t.file("f", "x").file("f/x", "y"); }},
          {"the same name three times, the last counts", Expect::unpacked,
           [](Tar& t, const std::string&) {
             t.file("f", "one").file("g", "").file("f", "two").file("./f", "three");
           },
           [](const fs::path& image) { CHECK(content(image / "f") == "three"); }},
          {"directory over file over directory", Expect::unpacked,
           [](Tar& t, const std::string&) {
             t.dir("d/").file("d/x", "").file("d", "file").dir("d/").file("d/y", "y").file("z", "");
           },
           [](const fs::path& image) {
             CHECK(content(image / "d/y") == "y");
             CHECK(content(image / "d/x") == "(none)");
           }},
          {"name of 256 bytes", Expect::refused,
           [](Tar& t, const std::string&) { t.file(std::string(256, 'n'), ""); }},
          {"name of 255 bytes", Expect::unpacked,
           [](Tar& t, const std::string&) { t.file(std::string(255, 'n'), "n").file("b", ""); },
           [](const fs::path& image) { CHECK(content(image / std::string(255, 'n')) == "n"); }},
          {"path of 5000 bytes", Expect::refused,
           [](Tar& t, const std::string&) {
             std::string path;
             for (int i = 0; i < 25; ++i) path += std::string(199, 'p') + "/";
             t.file(path + "f", "");
           }},
          {"link target of 5000 bytes", Expect::refused,
           [](Tar& t, const std::string&) { t.symlink("l", std::string(5000, 't')); }},
          {"300 levels of directories", Expect::unpacked,
           [](Tar& t, const std::string&) {
             std::string path;
             for (int i = 0; i < 300; ++i) path += "d/";
             t.file(path + "f", "deep").file("z", "");
           },
           [](const fs::path& image) {
             std::string path;
             for (int i = 0; i < 300; ++i) path += "d/";
             CHECK(content(image / (path + "f")) == "deep");
           }},
          {"set-uid and set-gid bits", Expect::unpacked,
           [](Tar& t, const std::string&) {
             t.file("s", "x", 06755).dir("d/", 02755).file("z", "");
           },
           [](const fs::path& image) {
             CHECK((fs::status(image / "s").permissions() & fs::perms(07777)) == fs::perms(0755));
             CHECK((fs::status(image / "d").permissions() & fs::perms(07777)) == fs::perms(0755));
           }},
          {"device files", Expect::unpacked,
           [](Tar& t, const std::string&) {
             t.add({"sda", '4', "", "", 0666})
                 .add({"mem", '3', "", "", 0666})
                 .file("f", "")
                 .file("g", "");
           },
           [](const fs::path& image) {
             CHECK_FALSE(fs::exists(image / "sda"));
             CHECK_FALSE(fs::exists(image / "mem"));
           }},
          {"mount points as links out", Expect::unpacked,
           [](Tar& t, const std::string& out) {
             for (const char* name : {"dev", "proc", "sys", "home", "mnt", "ch"})
               t.symlink(name, out + "/new-" + name);
             t.dir("etc/").symlink("etc/hosts", "../../../outside/folder/new-hosts");
             t.symlink("etc/resolv.conf", out + "/new-resolv")
                 .symlink("etc/passwd", out + "/canary");
           },
           [](const fs::path& image) { CHECK(fs::is_symlink(image / "dev")); }},
          {"etc as a link out", Expect::unpacked,
           [](Tar& t, const std::string& out) { t.symlink("etc", out).file("a", ""); }},
          {"mount points as chains of relative links", Expect::unpacked,
           [](Tar& t, const std::string&) {
             t.symlink("mnt", "a/b/../c")
                 .dir("a/")
                 .dir("a/b/")
                 .symlink("a/c", "../../../../outside");
           }},
          {"mount points as links in a circle", Expect::unpacked,
           [](Tar& t, const std::string&) { t.symlink("mnt", "mnt2").symlink("mnt2", "mnt"); },
           [](const fs::path& image) { CHECK(fs::is_directory(image / "proc")); }},
          {"our own folder as links in a circle", Expect::refused,
           [](Tar& t, const std::string&) { t.symlink("ch", "ch2").symlink("ch2", "ch"); }},
          {"content of dev", Expect::unpacked,
           [](Tar& t, const std::string& out) {
             t.dir("dev/")
                 .file("dev/x", "")
                 .symlink("dev/out", out)
                 .dir("dev/sub/")
                 .file("dev/sub/y", "");
             t.dir("usr/").dir("usr/dev/").file("usr/dev/stays", "s");
           },
           [](const fs::path& image) {
             CHECK(fs::is_empty(image / "dev"));
             CHECK(content(image / "usr/dev/stays") == "s");
           }},
          {"dev as a link to a folder outside with content", Expect::unpacked,
           [](Tar& t, const std::string& out) { t.symlink("dev", out).file("a", ""); }},
          {"read-only directories", Expect::unpacked,
           [](Tar& t, const std::string&) {
             t.dir("d/", 0555).file("d/f", "f").dir("e/", 0).file("e/f", "f");
           },
           [](const fs::path& image) {
             CHECK(content(image / "d/f") == "f");
             CHECK(content(image / "e/f") == "f");
             CHECK((fs::status(image / "d").permissions() & fs::perms(0700)) == fs::perms(0700));
           }},
          {"a size that promises petabytes", Expect::refused,
           [](Tar& t, const std::string&) {
             t.header("f", '0', 1ULL << 50, "", 0644, 0).raw(std::string(2048, 'x'));
           }},
          {"a pax size that contradicts the header", Expect::refused,
           [](Tar& t, const std::string&) {
             t.pax({{"size", "99999999999999"}}).file("f", "x");
           }},
          {"a long name record of a terabyte", Expect::refused,
           [](Tar& t, const std::string&) {
             t.header("././@LongLink", 'L', 1ULL << 40, "", 0644, 0).raw(std::string(2048, 'x'));
           }},
          {"a pax record that runs over its end", Expect::refused,
           [](Tar& t, const std::string&) {
             t.header("PaxHeaders/x", 'x', 20, "", 0644, 0)
                 .body("9999 path=abcdefghij\n")
                 .file("f", "x");
           }},
          {"a negative time, and one of year 10000", Expect::unpacked,
           [](Tar& t, const std::string&) {
             t.pax({{"mtime", "-1000000"}})
                 .file("f", "x")
                 .pax({{"mtime", "253402300800"}})
                 .file("g", "y");
           }},
          {"a name with control characters", Expect::unpacked,
           [](Tar& t, const std::string&) { t.file("a\nb\033[2J", "x").file("z", ""); },
           [](const fs::path& image) { CHECK(content(image / "a\nb\033[2J") == "x"); }},
          {"a name in Latin-1, and one in decomposed UTF-8", Expect::unpacked,
           [](Tar& t, const std::string&) {
             t.file("caf\xe9", "l").pax({{"path", "e\xcc\x81"}}).file("x", "d");
             t.pax({{"path", "\xc3\xa9"}}).file("x", "c").pax({{"path", "pax\xe9"}}).file("x", "p");
             t.pax({{"linkpath", "e\xcc\x81"}}).hard_link("hard", "x");
             t.pax({{"linkpath", "e\xcc\x81\xe9"}}).symlink("soft", "x");
           },
           [](const fs::path& image) {
             CHECK(content(image / "caf\xe9") == "l");
             CHECK(content(image / "e\xcc\x81") == "d");
             CHECK(content(image / "\xc3\xa9") == "c");
             CHECK(content(image / "pax\xe9") == "p");
             CHECK(content(image / "hard") == "d");
             CHECK(fs::read_symlink(image / "soft") == "e\xcc\x81\xe9");
           }},
          {"nothing", Expect::refused, [](Tar&, const std::string&) {}},
      };
  return all;
}

}  // namespace

TEST_CASE("hostile archives end in an error or inside the image", "[image][tool]") {
  for (const Case& c : cases()) check_case(c);
}

TEST_CASE("the same attacks in layers: the upper one uses the lower one's links", "[image][tool]") {
  for (const char* how : {"--contain=always", "--contain=never"}) {
    Place place;
    Tar lower, upper;
    lower.symlink("l", place.outside).symlink("f", place.outside + "/canary");
    lower.symlink("d", place.outside + "/folder").symlink("w", "../../outside");
    upper.file("f", "mine").dir("d/", 0777).file("d/file", "mine");
    upper.file("w/.wh.canary", "").file("l/.wh..wh..opq", "").file(".wh.l", "");
    const std::string archive = (place.dir / "a.tar").string();
    test::write_file(archive, test::image_archive({{lower.bytes(), upper.bytes()}, "gzip", {}},
                                                  Layout::docker_new));
    const std::string before = place.state();
    const test::Ran ran = run({ch_tar2dir(), how, "--no-sync", archive, place.image()});
    CAPTURE(how, ran.err);
    CHECK(ran.status == 0);
    CHECK(place.state() == before);
    CHECK(content(place.image() + "/f") == "mine");
    CHECK(content(place.image() + "/d/file") == "mine");
  }
}

TEST_CASE("limits stop an archive before the disk is full", "[image][tool]") {
  const TempDir dir;
  Tar tar;
  for (int i = 0; i < 50; ++i) tar.file("f" + std::to_string(i), std::string(10000, 'x'));
  test::write_file(dir / "a.tar.gz", test::compress(tar.bytes(), "gzip"));
  const std::string archive = (dir / "a.tar.gz").string();
  const auto with = [&](const std::string& option) {
    return run({ch_tar2dir(), option, archive, (dir / "i").string()});
  };
  const auto size = with("--max-size=100K");
  CHECK(size.status == 1);
  CHECK(contains(size.err, "more than 102400 bytes"));
  CHECK(contains(size.err, "--max-size"));
  const auto files = with("--max-files=49");
  CHECK(files.status == 1);
  CHECK(contains(files.err, "more than 49 members"));
  CHECK_FALSE(fs::exists(dir / "i"));
  CHECK(with("--max-files=50").status == 0);
  CHECK(with("--max-size=500000").status == 0);
}

TEST_CASE("memory does not grow with what an archive claims or holds", "[image][tool]") {
  const TempDir dir;
  const auto limited = [](std::uint64_t bytes) {
    test::RunOptions options;
    options.in_child = [bytes] {
      const rlimit limit{bytes, bytes};
      setrlimit(RLIMIT_AS, &limit);
    };
    return options;
  };
#if defined(__SANITIZE_ADDRESS__)
  return;  // the sanitizer itself maps terabytes of address space
#endif
  // 300 MiB of zeros in one member, from 300 KiB; and 200 000 members.
  Tar large;
  large.header("f", '0', 300ULL << 20, "", 0644, 0);
  std::string huge = large.open_bytes();
  huge.append(300ULL << 20, '\0');
  huge.append(1024, '\0');
  test::write_file(dir / "huge.tar.gz", test::compress(huge, "gzip"));
  huge.clear();
  huge.shrink_to_fit();
  Tar many;
  for (int i = 0; i < 200000; ++i) many.symlink("l" + std::to_string(i), "t");
  test::write_file(dir / "many.tar", many.bytes());
  test::write_file(dir / "many.tar.xz",
                   test::compress(test::read_file(dir / "many.tar"), "xz", "compression-level=0"));
  for (const char* name : {"huge.tar.gz", "many.tar", "many.tar.xz"}) {
    // Address space, so with libraries and a stack of 8 MiB for each thread.
    CAPTURE(name);
    const auto check = run({ch_tar2dir(), "--check", (dir / name).string()}, limited(256ULL << 20));
    CHECK(check.err.empty());
    CHECK(check.status == 0);
    if (name != std::string("huge.tar.gz")) continue;
    const auto ran = run({ch_tar2dir(), "--max-size=1G", "-j8", "--no-sync", (dir / name).string(),
                          (dir / "i").string()},
                         limited(256ULL << 20));
    CHECK(ran.err.empty());
    CHECK(ran.status == 0);
  }
  test::write_file(dir / "name.tar",
                   Tar().header("././@LongLink", 'L', 1ULL << 33, "", 0644, 0).bytes());
  const auto ran =
      run({ch_tar2dir(), "--check", (dir / "name.tar").string()}, limited(256ULL << 20));
  CHECK(ran.status == 1);
  CHECK(contains(ran.err, "ch-tar2dir: error:"));
}
