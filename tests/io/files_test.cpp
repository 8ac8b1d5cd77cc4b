// SPDX-License-Identifier: Apache-2.0
//
// Files replaced atomically, and paths made in an image, whose links may lead anywhere.

#include "tests/support/files.hpp"
#include "ch/io/failed.hpp"
#include "ch/io/file.hpp"
#include "ch/io/in_image.hpp"
#include "tests/support/require.hpp"

using namespace ch::io;
using test::fs::exists;
using Kind = ch::kernel::MountPoint;

namespace {

struct Fixture {
  test::TempDir dir;
  Descriptor at{::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
};

}  // namespace

TEST_CASE("a file is replaced atomically, and leftovers of a killed call don't matter", "[pure]") {
  const Fixture f;
  test::write_file(f.dir / "outside", "mine");
  test::write_file(f.dir / "name.new", "a part");
  test::fs::create_symlink(f.dir / "outside", f.dir / "name");
  replace_file("all of it", f.at.get(), "name", 0640, "name");
  CHECK(test::read_file(f.dir / "name") == "all of it");
  CHECK(test::read_file(f.dir / "outside") == "mine");
  CHECK_FALSE(exists(f.dir / "name.new"));
  CHECK(test::fs::status(f.dir / "name").permissions() == test::fs::perms{0640});
  test::fs::create_directory(f.dir / "folder");
  try {
    replace_file("x", f.at.get(), "folder", 0640, "/the/folder");
    FAIL("a directory was replaced");
  } catch (const Failed& e) {
    CHECK(e.code() == EISDIR);
    CHECK(e.path() == "/the/folder");
  }
}

TEST_CASE("a path is made where a process in the image would find it", "[pure]") {
  const Fixture f;
  test::fs::create_directory(f.dir / "etc");
  test::fs::create_symlink("/run/dns/resolv.conf", f.dir / "etc/resolv.conf");
  test::fs::create_symlink("round", f.dir / "round");
  test::write_file(f.dir / "file", "x");
  MadePaths made;
  CHECK(make_in_image(f.at.get(), "/etc/resolv.conf", Kind::file, made) == Made::made);
  CHECK(made == MadePaths{"/run", "/run/dns", "/run/dns/resolv.conf"});
  CHECK(test::fs::is_regular_file(f.dir / "run/dns/resolv.conf"));
  CHECK(make_in_image(f.at.get(), "/etc/resolv.conf", Kind::file, made) == Made::was_there);
  CHECK(make_in_image(f.at.get(), "/etc", Kind::file, made) == Made::other_kind);
  CHECK(make_in_image(f.at.get(), "/../../up", Kind::directory, made) == Made::made);
  CHECK(made.back() == "/up");
  const auto refusal = [&](const char* path) {
    try {
      (void)make_in_image(f.at.get(), path, Kind::directory, made);
    } catch (const Failed& e) {
      return e.code();
    }
    return 0;
  };
  CHECK(refusal("/round") == ELOOP);
  CHECK(refusal("/file/x") == ENOTDIR);
  CHECK(made.size() == 4);
}

TEST_CASE("a path is made with its modes, whatever the umask", "[pure]") {
  const Fixture f;
  MadePaths made;
  const mode_t before = ::umask(077);
  CHECK(make_in_image(f.at.get(), "/a/b", Kind::file, made) == Made::made);
  ::umask(before);
  CHECK(test::fs::status(f.dir / "a").permissions() == test::fs::perms{0755});
  CHECK(test::fs::status(f.dir / "a/b").permissions() == test::fs::perms{0644});
}

TEST_CASE("a failure says where, what and why, once each", "[pure]") {
  Failed failed("/img/x", "can't read: no such thing", "look again", ENOENT);
  CHECK(std::string(failed.what()) == "/img/x: can't read: no such thing");
  failed.in_member("usr/x");
  failed.in_file("/img/x");
  failed.in_file("another");
  CHECK(std::string(failed.what()) == "/img/x: member usr/x: can't read: no such thing");
  CHECK(failed.reason() == Reason::system);
  CHECK(interrupted().reason() == Reason::interrupted);
  const ch::Failure told = failed.failure("unpack", "/img");
  CHECK(told.attempted + ' ' + told.path == "unpack /img");
  CHECK(told.cause == failed.what());
  CHECK(told.remedy == "look again");
  CHECK(told.code == ch::Errno::enoent);
}
