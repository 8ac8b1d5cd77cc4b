// SPDX-License-Identifier: Apache-2.0
//
// ch-tar2dir where two names can't be exchanged in one step: network and FUSE file systems,
// old kernels, filters of outer containers. Killed at any call, the old or the new image is
// there, or comes back.

#include <sys/syscall.h>

#include "tests/image/tool_fixture.hpp"
#include "tests/support/faults.hpp"
#include "tests/support/filter_calls.hpp"

namespace {

using test::ch_tar2dir;
using test::content;
using test::Ran;
using test::small_tar;
using test::Tar;
namespace fs = std::filesystem;

/// An archive of the new image, with or without a directory around everything, and the old
/// image in its place.
struct Fixture : test::ToolFixture {
  explicit Fixture(bool enclosed) : ToolFixture("/dev/shm") {
    const std::string top = enclosed ? "top/" : "";
    Tar tar;
    for (const char* directory : {"", "bin/", "dev/", "usr/"})
      if (!(top + directory).empty()) tar.dir(top + directory);
    test::write_file(archive, tar.file(top + "usr/f", "new").bytes());
    test::write_file(no_archive, "no archive");
    test::write_file(old_archive, small_tar().bytes());
    begin();
  }
  void begin() const {
    fs::remove_all(image);
    const Ran ran = test::run({ch_tar2dir(), "--no-sync", old_archive, image});
    REQUIRE(ran.status == 0);
    test::write_file(image + "/usr/added", "mine");
  }
  /// Which image is there: "old", "new", or "" if there is none, or half of one.
  [[nodiscard]] std::string which() const {
    const bool marked = fs::exists(image + "/ch/unpacked.json") && fs::exists(image + "/proc");
    if (marked && content(image + "/usr/f") == "content" && content(image + "/usr/added") == "mine")
      return "old";
    return marked && content(image + "/usr/f") == "new" && !fs::exists(image + "/usr/added") ? "new"
                                                                                             : "";
  }
  std::string no_archive = (dir / "none").string();
  std::string old_archive = (dir / "old.tar").string();
};

/// renameat2 returns `error`.
std::function<void()> refused_with(int error) {
  return [error] { test::filter_calls({SYS_renameat2}, static_cast<unsigned>(error)); };
}

}  // namespace

TEST_CASE("an image is made and replaced where names can't be exchanged", "[image][tool]") {
  for (const bool enclosed : {false, true}) {
    const Fixture f(enclosed);
    for (const int error : {ENOSYS, EINVAL, EPERM})
      for (const char* how : {"--contain=always", "--contain=never"}) {
        test::RunOptions options;
        options.in_child = refused_with(error);
        f.begin();
        for (const char* before : {"an image", "nothing", "an empty directory"}) {
          if (before != std::string("an image")) fs::remove_all(f.image);
          if (before == std::string("an empty directory")) fs::create_directory(f.image);
          const Ran ran = f.unpack({"--no-sync", how}, options);
          CAPTURE(enclosed, error, how, before, ran.err);
          CHECK(ran.status == 0);
          CHECK(f.which() == "new");
          CHECK(f.beside() == std::vector<std::string>{"image"});
        }
      }
  }
}

#ifdef CHARLIE_HAVE_TRACER
TEST_CASE("an image that can't be examined after it was set aside is put back", "[image][tool]") {
  const Fixture f(false);
  for (const bool exchange : {true, false}) {
    test::Fault fault;
    fault.concerns = [](long number) { return number == SYS_newfstatat; };
    fault.from = exchange ? SYS_renameat2 : SYS_renameat;
    fault.error = EIO;
    if (!exchange) fault.in_child = refused_with(ENOSYS);
    const auto ran = test::run_with_fault(
        {ch_tar2dir(), "--contain=never", "-j1", "--no-sync", f.archive, f.image}, fault);
    CAPTURE(exchange, ran.status, ran.err);
    CHECK(ran.hit);
    CHECK(ran.status == 1);
    CHECK(f.which() == "old");
    CHECK(f.beside() == std::vector<std::string>{"image"});
  }
}

TEST_CASE("killed at any call where names can't be exchanged: the old or the new image comes back",
          "[image][tool]") {
  for (const bool enclosed : {false, true}) {
    const Fixture f(enclosed);
    for (const int error : {ENOSYS, EPERM}) {
      int points = 0, missing = 0;
      for (int k = 0;; ++k) {
        f.begin();
        test::Fault fault;
        fault.concerns = [](long number) {
          return number == SYS_renameat2 || number == SYS_renameat || number == SYS_unlinkat;
        };
        fault.from = SYS_renameat2;
        fault.at = k;
        fault.in_child = refused_with(error);
        const auto ran = test::run_with_fault(
            {ch_tar2dir(), "--contain=never", "-j1", "--no-sync", f.archive, f.image}, fault);
        if (!ran.hit) break;
        ++points;
        CAPTURE(enclosed, error, k, ran.status, ran.err);
        if (!fs::exists(f.image))
          ++missing;
        else
          CHECK(f.which() != "");
        // A run that fails, and one for which the calls are refused as well.
        test::RunOptions options;
        options.in_child = refused_with(error);
        CHECK(test::run({ch_tar2dir(), f.no_archive, f.image}, options).status == 1);
        CHECK(f.which() != "");
        CHECK(f.beside() == std::vector<std::string>{"image"});
        CHECK(f.unpack({"--no-sync"}, options).status == 0);
        CHECK(f.which() == "new");
        CHECK(f.beside() == std::vector<std::string>{"image"});
      }
      INFO(points << " points, " << missing << " without an image");
      CHECK(points > 10);
      CHECK(missing > 0);  // otherwise nothing relevant was tried
    }
  }
}
#endif
