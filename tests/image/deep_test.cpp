// SPDX-License-Identifier: Apache-2.0
//
// ch-tar2dir with trees that are very deep or very wide: a few descriptors,
// a small stack and bounded memory are always enough.

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/image/tool_fixture.hpp"
#include "tests/support/filter_calls.hpp"

namespace {

using test::ch_tar2dir;
using test::contains;
using test::content;
using test::limited;
using test::Ran;
using test::small_tar;
using test::Tar;
namespace fs = std::filesystem;

/// Removes the image at the end: the standard library would hold a descriptor per level.
/// In memory, since thousands of directories are too much for some disks.
struct Fixture : test::ToolFixture {
  Fixture() : ToolFixture("/dev/shm") {}
  ~Fixture() { remove(); }
  void remove() const {
    const ch::io::Descriptor at(open((dir / "at").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ch::images::remove_tree(at.get(), "image");
  }
};

std::string repeated(int times, const std::string& text) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

std::string docker_archive(const std::vector<Tar>& layers) {
  test::ImageRecipe recipe;
  for (const Tar& layer : layers) recipe.layers.push_back(layer.bytes());
  return test::image_archive(recipe, test::Layout::docker_new);
}

/// Runs `argv` and returns the peak memory of it or of one of its children, in MiB. A
/// shell starts it and exits, since a process inherits its parent's peak when it is forked.
long peak_memory(const std::vector<std::string>& argv) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  std::vector<std::string> words = {"sh", "-c", "\"$@\" > /dev/null 2>&1 & echo $!", "sh"};
  words.insert(words.end(), argv.begin(), argv.end());
  const pid_t pid = std::stoi(test::run(words).out);
  rusage usage{};
  int status = 0;
  REQUIRE(wait4(pid, &status, 0, &usage) == pid);
  prctl(PR_SET_CHILD_SUBREAPER, 0);
  CHECK(status == 0);
  return usage.ru_maxrss / 1024;
}

constexpr const char* both[] = {"--contain=always", "--contain=never"};

/// Few descriptors and a small stack, and perhaps a kernel without openat2.
test::RunOptions frugal(bool openat2 = true) {
  test::RunOptions options;
  options.in_child = [openat2] {
    limited(RLIMIT_NOFILE, 64)();
    limited(RLIMIT_STACK, 256 * 1024)();
    if (!openat2) test::filter_calls({SYS_openat2}, ENOSYS);
  };
  return options;
}

}  // namespace

TEST_CASE("archives of 2000 levels unpack, with 64 descriptors", "[image][tool]") {
  const Fixture f;
  const std::string path = repeated(2000, "d/");
  test::write_file(f.archive, small_tar().file(path + "f", "deep").dir(path, 0700).bytes());
  for (const char* how : both)
    for (const bool openat2 : {true, false}) {
      const Ran ran = f.unpack({"--no-sync", how}, frugal(openat2));
      CAPTURE(how, openat2, ran.err);
      REQUIRE(ran.status == 0);
      CHECK(content(f.image + "/" + path + "f") == "deep");
      struct stat status {};
      CHECK(stat((f.image + "/" + path).c_str(), &status) == 0);
      CHECK((status.st_mode & 07777) == 0700);
      CHECK(status.st_mtime == 1000000000);
      CHECK(f.beside() == std::vector<std::string>{"image"});
    }
}

TEST_CASE("a layer that hides what 2000 levels below it have does so, with 64 descriptors",
          "[image][tool]") {
  const Fixture f;
  Tar lower = small_tar(), upper;
  for (int i = 1; i <= 2000; i += 9)
    lower.file(repeated(i, "d/") + "old", "old").file(repeated(i, "d/") + "gone/f", "old");
  const std::string path = repeated(2000, "d/");
  upper.file(path + "new", "new").file("d/.wh..wh..opq", "");
  test::write_file(f.archive, docker_archive({lower, upper}));
  for (const char* how : both)
    for (const bool openat2 : {true, false}) {
      const Ran ran = f.unpack({"--no-sync", how}, frugal(openat2));
      CAPTURE(how, openat2, ran.err);
      REQUIRE(ran.status == 0);
      CHECK(content(f.image + "/" + path + "new") == "new");
      for (const int i : {1, 901, 1999}) {
        CHECK_FALSE(fs::exists(f.image + "/" + repeated(i, "d/") + "old"));
        CHECK_FALSE(fs::exists(f.image + "/" + repeated(i, "d/") + "gone"));
      }
    }
}

TEST_CASE("20 000 levels, as links in the archive can make them, unpack and are replaced",
          "[image][tool]") {
  const Fixture f;
  const std::string step = repeated(2000, "d/");
  Tar tar = small_tar();
  tar.file("l0/f", "first").dir("l0/");
  for (int i = 1; i <= 10; ++i) {
    const std::string below = "l" + std::to_string(i - 1) + "/" + step;
    tar.file(below + "f", "deep").symlink("l" + std::to_string(i), below);
  }
  test::write_file(f.archive, tar.bytes());
  for (const char* how : both)
    for (int round = 0; round < 2; ++round) {
      const Ran ran = f.unpack({"--no-sync", how}, frugal());
      CAPTURE(how, round, ran.err);
      REQUIRE(ran.status == 0);
      CHECK(fs::exists(f.image + "/l10/f"));
      CHECK(f.beside() == std::vector<std::string>{"image"});
    }
}

TEST_CASE("a mount point that is a dangling link is made 100 levels deep, and noted 2000 deep",
          "[image][tool]") {
  const Fixture f;
  for (const int depth : {100, 2000})
    for (const char* how : both) {
      const std::string path = repeated(depth, "d/");
      test::write_file(f.archive, small_tar().symlink("etc/hosts", "/" + path + "hosts").bytes());
      const Ran ran = f.unpack({"--no-sync", how}, frugal());
      CAPTURE(depth, how, ran.err);
      CHECK(ran.status == 0);
      CHECK(fs::exists(f.image + "/" + path + "hosts") == (depth == 100));
      CHECK(contains(ran.out, "/etc/hosts in the image can't be used") == (depth == 2000));
    }
}

TEST_CASE("files of thousands of directories unpack with 64 descriptors, with any threads",
          "[image][tool]") {
  const Fixture f;
  Tar tar = small_tar();
  for (int i = 0; i < 3000; ++i)  // never two of the same directory one after the other
    tar.file("d" + std::to_string(i * 7 % 3000) + "/f", "content");
  test::write_file(f.archive, tar.bytes());
  for (const char* how : both)
    for (const char* threads : {"-j1", "-j8"}) {
      const Ran ran = f.unpack({"--no-sync", how, threads}, frugal());
      CAPTURE(how, threads, ran.err);
      REQUIRE(ran.status == 0);
      CHECK(content(f.image + "/d2999/f") == "content");
    }
}

TEST_CASE("hundreds of sparse and of large files unpack with 64 descriptors", "[image][tool]") {
  const Fixture f;
  Tar tar = small_tar();
  for (int i = 0; i < 400; ++i) {
    const std::string name = "sparse" + std::to_string(i);
    // One byte in a hole of 100 KB.
    tar.pax({{"GNU.sparse.major", "1"},
             {"GNU.sparse.minor", "0"},
             {"GNU.sparse.name", name},
             {"GNU.sparse.realsize", "100000"}});
    std::string map = "1\n50000\n1\n";
    map.resize(512);
    tar.file("GNUSparseFile.0/" + name, map + "x");
  }
  for (int i = 0; i < 100; ++i)
    tar.file("large" + std::to_string(i), std::string((1 << 20) + 1, 'x'));
  test::write_file(f.archive, tar.bytes());
  for (const char* how : both)
    for (const char* threads : {"-j1", "-j8"}) {
      const Ran ran = f.unpack({"--no-sync", how, threads}, frugal());
      CAPTURE(how, threads, ran.err);
      REQUIRE(ran.status == 0);
      const std::string sparse = content(f.image + "/sparse399");
      CHECK(sparse.size() == 100000);
      CHECK(sparse.substr(49999, 3) == std::string("\0x\0", 3));
    }
}

TEST_CASE("60 000 directories with paths of 1400 bytes need less than 64 MiB", "[image][tool]") {
#if defined(__SANITIZE_ADDRESS__)
  return;  // its own memory would be counted
#endif
  const Fixture f;
  const std::string above = repeated(7, std::string(170, 'p') + "/");
  {
    std::ofstream out(f.archive, std::ios::binary);
    out << small_tar().open_bytes();
    for (int i = 0; i < 60'000; ++i) {
      Tar tar;
      tar.dir(above + std::string(200, 'n') + std::to_string(i), 0700);
      out << tar.open_bytes();
    }
    out << Tar().bytes();
    REQUIRE(out.good());
  }
  for (const char* how : both) {
    CAPTURE(how);
    CHECK(peak_memory({ch_tar2dir(), "--no-sync", how, f.archive, f.image}) < 64);
    struct stat status {};
    REQUIRE(stat((f.image + "/" + above + std::string(200, 'n') + "59999").c_str(), &status) == 0);
    CHECK(status.st_mtime == 1000000000);
    f.remove();
  }
}
