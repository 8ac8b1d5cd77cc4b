// SPDX-License-Identifier: Apache-2.0
//
// The one resolver of paths in images: with openat2, and by hand if that is missing.

#include "ch/kernel/in_root.hpp"

#include <sys/stat.h>

#include "tests/support/files.hpp"
#include "tests/support/hiding_kernel.hpp"

namespace {

using namespace ch::kernel;
using test::fs::create_directories;
using test::fs::create_symlink;

/// An image beside a directory that nothing may reach.
struct Image {
  test::TempDir dir;
  Fd root = Fd::none;

  Image() {
    create_directories(dir / "outside");
    test::write_file(dir / "outside/canary", "host");
    create_directories(dir / "image/real/deep");
    create_directories(dir / "image/run");
    create_directories(dir / "image/var");
    create_directories(dir / "image/outside");  // where links to /outside must end
    test::write_file(dir / "image/outside/canary", "image");
    test::write_file(dir / "image/real/file", "inside");
    Linux k;
    const auto opened = openat(k, Fd::cwd, (dir / "image").c_str(), o_path);
    REQUIRE(opened.ok());
    root = opened.value();
  }
  ~Image() {
    Linux k;
    (void)close(k, root);
  }
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;
};

template <class K>
std::string read_in(K& k, Fd root, const char* path) {
  const auto opened = open_in_root(k, root, path, o_rdonly);
  if (!opened.ok()) return "error " + std::to_string(static_cast<int>(opened.error()));
  char buffer[64];
  const auto n = read(k, opened.value(), buffer, sizeof buffer);
  (void)close(k, opened.value());
  return {buffer, n.value()};
}

std::string error(Errno code) { return "error " + std::to_string(static_cast<int>(code)); }

template <class K>
void every_link_stays_inside(K k) {
  Image image;
  const auto link = [&](const std::string& target, const std::string& name) {
    create_symlink(target, image.dir / ("image/" + name));
  };
  link("/outside", "absolute");
  link("../../outside", "relative");
  link("../../../../../../../../../../outside", "far");
  link("absolute", "chain1");
  link("chain1", "chain2");
  link("/chain2/../chain2", "chain3");
  link("loop2", "loop1");
  link("loop1", "loop2");
  link("/nowhere/at/all", "dangling");
  link("/run", "var/run");
  link("real/../real/./deep/..//file", "crooked");

  for (const char* name : {"absolute", "relative", "far", "chain1", "chain2", "chain3"}) {
    INFO(name);
    CHECK(read_in(k, image.root, (std::string(name) + "/canary").c_str()) == "image");
  }
  CHECK(read_in(k, image.root, "../../outside/canary") == "image");
  CHECK(read_in(k, image.root, "/real/file") == "inside");
  CHECK(read_in(k, image.root, "crooked") == "inside");
  CHECK(read_in(k, image.root, "loop1") == error(Errno::eloop));
  CHECK(read_in(k, image.root, "dangling") == error(Errno::enoent));
  CHECK(read_in(k, image.root, "real/file/below") == error(Errno::enotdir));
  CHECK(read_in(k, image.root, "real/none") == error(Errno::enoent));

  // The harmless compatibility link that stricter resolvers have refused.
  const auto run = open_in_root(k, image.root, "/var/run", o_path);
  REQUIRE(run.ok());
  struct stat through_link {};
  struct stat direct {};
  REQUIRE(fstat(static_cast<int>(run.value()), &through_link) == 0);
  REQUIRE(stat((image.dir / "image/run").c_str(), &direct) == 0);
  CHECK(through_link.st_ino == direct.st_ino);
  (void)close(k, run.value());
}

template <class K>
void parents_need_search_permission_only(K k) {
  Image image;
  create_directories(image.dir / "image/closed/open");
  test::write_file(image.dir / "image/closed/open/file", "found");
  REQUIRE(chmod((image.dir / "image/closed").c_str(), 0311) == 0);
  CHECK(read_in(k, image.root, "closed/open/file") == "found");
  REQUIRE(chmod((image.dir / "image/closed").c_str(), 0755) == 0);
}

template <class K>
void files_are_made_where_asked(K k) {
  Image image;
  create_symlink("/outside", image.dir / "image/absolute");
  const auto made = open_in_root(k, image.root, "absolute/new", o_wronly | o_creat | o_excl, 0600);
  REQUIRE(made.ok());
  (void)close(k, made.value());
  CHECK(test::fs::exists(image.dir / "image/outside/new"));
  CHECK(!test::fs::exists(image.dir / "outside/new"));
  const auto again = open_in_root(k, image.root, "absolute/new", o_wronly | o_creat | o_excl, 0600);
  CHECK(again.error() == Errno::eexist);
}

/// What lies at `path`: 'd', 'f', 'l', or an error.
template <class K>
std::string kind_at(K& k, Fd root, const char* path, std::uint64_t flags) {
  const auto opened = open_in_root(k, root, path, flags, (flags & o_creat) != 0 ? 0600 : 0);
  if (!opened.ok()) return "error " + std::to_string(static_cast<int>(opened.error()));
  struct stat status {};
  REQUIRE(fstat(static_cast<int>(opened.value()), &status) == 0);
  (void)close(k, opened.value());
  return S_ISDIR(status.st_mode) ? "d" : S_ISLNK(status.st_mode) ? "l" : "f";
}

template <class K>
void the_end_of_a_path_counts(K k) {
  Image image;
  create_symlink("/real", image.dir / "image/link");
  create_symlink("link", image.dir / "image/link2");
  create_symlink("real/file/", image.dir / "image/slash");
  create_symlink("none", image.dir / "image/dangling");
  create_symlink("none/", image.dir / "image/dangling_slash");
  const auto kind = [&](const char* path, std::uint64_t flags) {
    return kind_at(k, image.root, path, flags);
  };
  for (const std::uint64_t how : {o_path, o_rdonly, o_path | o_nofollow, o_rdonly | o_directory}) {
    INFO(how);
    CHECK(kind("", how) == error(Errno::enoent));
    CHECK(kind("/", how) == "d");
    CHECK(kind("real//", how) == "d");
    CHECK(kind("link/", how) == "d");
    CHECK(kind("link2/", how) == "d");
    CHECK(kind("link2/.", how) == "d");
    CHECK(kind("real/file/", how) == error(Errno::enotdir));
    CHECK(kind("real/file/.", how) == error(Errno::enotdir));
    CHECK(kind("real/none/", how) == error(Errno::enoent));
  }
  CHECK(kind("link2", o_path) == "d");
  CHECK(kind("link2", o_path | o_directory) == "d");
  CHECK(kind("link2", o_rdonly | o_directory) == "d");
  CHECK(kind("link2", o_path | o_nofollow) == "l");
  CHECK(kind("link2", o_path | o_directory | o_nofollow) == error(Errno::enotdir));
  CHECK(kind("link2", o_rdonly | o_nofollow) == error(Errno::eloop));
  CHECK(kind("link2", o_rdonly | o_directory | o_nofollow) == error(Errno::enotdir));
  CHECK(kind("slash", o_path) == error(Errno::enotdir));
  CHECK(kind("slash", o_rdonly) == error(Errno::enotdir));
  CHECK(kind("real/file", o_path | o_directory) == error(Errno::enotdir));
  CHECK(kind("real/file", o_rdonly | o_directory) == error(Errno::enotdir));
  CHECK(kind("real/new/", o_wronly | o_creat) == error(Errno::eisdir));
  CHECK(kind("dangling_slash", o_wronly | o_creat) == error(Errno::eisdir));
  CHECK(kind("dangling", o_wronly | o_creat | o_excl) == error(Errno::eexist));
  CHECK(kind("dangling", o_wronly | o_creat) == "f");
  CHECK(test::fs::exists(image.dir / "image/none"));
}

int open_descriptors() {
  int n = 0;
  for (const auto& entry : test::fs::directory_iterator("/proc/self/fd")) {
    (void)entry;
    ++n;
  }
  return n;
}

}  // namespace

TEST_CASE("links in an image lead to places in the image", "[pure]") {
  SECTION("by openat2") { every_link_stays_inside(Linux{}); }
  SECTION("by hand, openat2 unknown") {
    every_link_stays_inside(test::HidingKernel{Call::openat2});
  }
  SECTION("by hand, openat2 forbidden") {
    every_link_stays_inside(test::HidingKernel{Call::openat2, Errno::eperm});
  }
}

TEST_CASE("a path resolved by hand ends where openat2 ends", "[pure]") {
  SECTION("by openat2") { the_end_of_a_path_counts(Linux{}); }
  SECTION("by hand") { the_end_of_a_path_counts(test::HidingKernel{Call::openat2}); }
}

TEST_CASE("directories on the way need search permission, not read permission", "[pure]") {
  SECTION("by openat2") { parents_need_search_permission_only(Linux{}); }
  SECTION("by hand") { parents_need_search_permission_only(test::HidingKernel{Call::openat2}); }
}

TEST_CASE("a file made through a link is made in the image", "[pure]") {
  SECTION("by openat2") { files_are_made_where_asked(Linux{}); }
  SECTION("by hand") { files_are_made_where_asked(test::HidingKernel{Call::openat2}); }
}

TEST_CASE("magic links of /proc don't lead out", "[pure]") {
  Linux k;
  const auto root = openat(k, Fd::cwd, "/proc", o_path);
  REQUIRE(root.ok());
  SECTION("openat2 refuses them") {
    const auto r = open_in_root(k, root.value(), "self/root/etc", o_path);
    CHECK(r.error() == Errno::eloop);
  }
  SECTION("by hand they are text like any link") {
    test::HidingKernel h{Call::openat2};
    const auto r = open_in_root(h, root.value(), "self/root/etc", o_path);
    CHECK(r.error() == Errno::enoent);  // "/" is /proc here, and it has no etc
  }
  (void)close(k, root.value());
}

TEST_CASE("walking by hand leaves no descriptor open", "[pure]") {
  Image image;
  create_symlink("/real/deep", image.dir / "image/link");
  test::HidingKernel k{Call::openat2};
  const int before = open_descriptors();
  for (const char* path : {"link", "real/file", "real/none/more", "link/../../x", "real/file/x"}) {
    const auto r = open_in_root(k, image.root, path, o_path);
    if (r.ok()) (void)close(k, r.value());
  }
  CHECK(open_descriptors() == before);
}
