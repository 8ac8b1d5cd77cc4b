// SPDX-License-Identifier: Apache-2.0
//
// ch-tar2dir on a failing machine: the k-th write, mkdir, link, rename, sync,
// close ... fails, for every k; and kill -9 at every system call. The promise: a clear
// error, nothing half-made under the final name, and the next run cleans up.

#include "tests/image/image_archives.hpp"
#include "tests/support/faults.hpp"

#if defined(CHARLIE_HAVE_TRACER)

namespace {

using test::content;
using test::Fault;
using test::Tar;
using test::TempDir;
namespace fs = std::filesystem;

std::string ch_tar2dir() {
  return fs::canonical(test::tool("CH_TAR2DIR", CHARLIE_CH_TAR2DIR)).string();
}

struct Fixture {
  TempDir dir{"/dev/shm"};  // thousands of trees, made and deleted: too much for some disks
  std::string archive = (dir / "a.tar").string();
  std::string image = (dir / "at/image").string();
  std::map<std::string, std::string> whole;
  Fixture() {
    fs::create_directory(dir / "at");
    Tar lower, upper;
    lower.dir("bin/").file("bin/sh", "#!\n", 0755).dir("dev/").dir("usr/").file("usr/f", "old");
    lower.symlink("l", "usr").hard_link("h", "usr/f").add({"p", '6', "", "", 0600});
    upper.file("usr/f", "new")
        .file("bin/.wh.sh", "")
        .file("bin/ls", "ls")
        .dir("d/")
        .file("d/x", "x");
    test::write_file(archive, test::image_archive({{lower.bytes(), upper.bytes()}, "gzip", {}},
                                                  test::Layout::docker_new));
    REQUIRE(unpack().status == 0);
    whole = test::snapshot(image);
    fs::remove_all(image);
  }
  [[nodiscard]] std::vector<std::string> words(const char* how) const {
    return {ch_tar2dir(), how, "-j1", "--no-sync", archive, image};
  }
  [[nodiscard]] test::Ran unpack() const {
    return test::run({ch_tar2dir(), "--no-sync", archive, image});
  }
  [[nodiscard]] bool image_is_whole() const {
    return fs::exists(image + "/ch/unpacked.json") && test::snapshot(image) == whole;
  }
  [[nodiscard]] std::size_t beside() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(dir / "at"), {}));
  }
};

/// Trying every call would take minutes; set CHARLIE_THOROUGH for that.
int step(int usual) { return std::getenv("CHARLIE_THOROUGH") != nullptr ? 1 : usual; }

bool touches_disk(long number) {
  switch (number) {
    case SYS_pwrite64:
    case SYS_mkdirat:
    case SYS_linkat:
    case SYS_symlinkat:
    case SYS_renameat2:
    case SYS_renameat:
    case SYS_syncfs:
    case SYS_fsync:
    case SYS_openat:
    case SYS_openat2:
    case SYS_mknodat:
    case SYS_utimensat:
    case SYS_fchmod:
    case SYS_fchmodat:
    case SYS_ftruncate:
    case SYS_flock:
    case SYS_pread64:
    case SYS_getdents64:
      return true;
    default:
      return false;
  }
}

}  // namespace

TEST_CASE("when the k-th call fails, for every k: an error and nothing left", "[image][tool]") {
  const Fixture f;
  for (const auto& [how, error] : {std::pair("--contain=never", EIO),
                                   {"--contain=always", ENOSPC},
                                   {"--contain=never", EDQUOT}}) {
    int points = 0, survived = 0;
    for (int k = 0;; ++k) {
      fs::remove_all(f.image);
      const auto ran = test::run_with_fault(f.words(how), {touches_disk, k, error});
      if (!ran.hit) break;
      ++points;
      CAPTURE(how, error, k, ran.err);
      if (ran.status == 0) {  // a call that only helps, or has a fallback
        ++survived;
        CHECK(f.image_is_whole());
      } else {
        CHECK(ran.status == 1);
        CHECK(ran.err.find("ch-tar2dir: error: ") != std::string::npos);
        // Renamed, and only the removal of the temporary was disturbed?
        if (fs::exists(f.image)) CHECK(f.image_is_whole());
      }
      if (f.beside() > (fs::exists(f.image) ? 1U : 0U)) {  // the clean-up itself was hit
        CHECK(f.unpack().status == 0);
        CHECK(f.image_is_whole());
        CHECK(f.beside() == 1);
      }
    }
    INFO(how << ": " << points << " points, " << survived << " without effect");
    CHECK(points > 30);
    CHECK(survived < points / 3);
  }
}

TEST_CASE("when a file that was written can't be closed, the image gets no name", "[image][tool]") {
  const Fixture f;
  const auto closes = [](long number) { return number == SYS_close; };
  int points = 0, failed = 0;
  for (int k = 0;; ++k) {
    fs::remove_all(f.image);
    const auto ran = test::run_with_fault(f.words("--contain=never"), {closes, k, EDQUOT});
    if (!ran.hit) break;
    ++points;
    CAPTURE(k, ran.err);
    if (ran.status == 0) {  // errors of closing files that were only read don't matter
      CHECK(f.image_is_whole());
      continue;
    }
    ++failed;
    CHECK(ran.err.find("Disk quota exceeded") != std::string::npos);
    CHECK(f.beside() == 0);
  }
  INFO(points << " points");
  CHECK(failed >= 5 + 4);  // the archive's files and ours
}

TEST_CASE("when the disk refuses to take the data, the image gets no name", "[image][tool]") {
  const Fixture f;
  const auto syncs = [](long number) { return number == SYS_syncfs; };
  const auto ran = test::run_with_fault({ch_tar2dir(), f.archive, f.image}, {syncs, 0, EIO});
  CHECK(ran.hit);
  CHECK(ran.status == 1);
  CHECK(ran.err.find("Input/output error") != std::string::npos);
  CHECK(f.beside() == 0);
}

TEST_CASE("what can't be removed after an image was replaced is named, and the next run removes it",
          "[image][tool]") {
  const Fixture f;
  const auto removes = [](long number) { return number == SYS_unlinkat; };
  for (const char* how : {"--contain=never", "--contain=always"}) {
    int points = 0, left = 0;
    for (int k = 0;; ++k) {
      fs::remove_all(f.image);
      REQUIRE(f.unpack().status == 0);
      const auto ran = test::run_with_fault(f.words(how), {removes, k, EIO});
      if (!ran.hit) break;
      ++points;
      CAPTURE(how, k, ran.status, ran.err);
      if (f.beside() == 1) continue;
      ++left;
      CHECK(ran.status == 0);
      CHECK(f.image_is_whole());
      CHECK(ran.err.find("warning: the image is complete, but ") != std::string::npos);
      CHECK(ran.err.find("/.ch-tar2dir.image could not be removed") != std::string::npos);
      const test::Ran next = f.unpack();
      CHECK(next.status == 0);
      CHECK(f.beside() == 1);
    }
    INFO(how << ": " << points << " points");
    CHECK(left > 5);
  }
}

TEST_CASE("killed at every system call: never half an image, and the next run recovers",
          "[image][tool]") {
  const Fixture f;
  const auto any = [](long) { return true; };
  for (const char* how : {"--contain=never", "--contain=always"}) {
    int points = 0;
    for (int k = 0;; k += step(how == std::string_view("--contain=never") ? 5 : 8)) {
      fs::remove_all(f.image);
      const auto ran = test::run_with_fault(f.words(how), {any, k, 0});
      if (!ran.hit) break;
      ++points;
      CAPTURE(how, k, ran.status, ran.err);
      if (fs::exists(f.image)) CHECK(f.image_is_whole());
      const test::Ran next = f.unpack();
      CAPTURE(next.err);
      CHECK(next.status == 0);
      CHECK(f.image_is_whole());
      CHECK(f.beside() == 1);
    }
    INFO(how << ": " << points << " points");
    CHECK(points > 10);
  }
}

TEST_CASE("killed at every call while it replaces an image: the old or the new one is there",
          "[image][tool]") {
  const Fixture f;
  int points = 0;
  const auto touches = [](long number) { return touches_disk(number) || number == SYS_unlinkat; };
  for (int k = 0;; k += step(4)) {
    fs::remove_all(f.image);
    REQUIRE(f.unpack().status == 0);
    test::write_file(f.image + "/old", "old");
    const auto ran = test::run_with_fault(f.words("--contain=never"), {touches, k, 0});
    if (!ran.hit) break;
    ++points;
    CAPTURE(k);
    REQUIRE(fs::exists(f.image));
    fs::remove(f.image + "/old");
    CHECK(f.image_is_whole());
  }
  CHECK(points > 10);
}

#endif
