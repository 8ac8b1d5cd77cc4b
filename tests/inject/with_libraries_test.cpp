// SPDX-License-Identifier: Apache-2.0
//
// ch-fromhost brings the libraries that injected programs need, as far as the image lacks them.

#include "tests/inject/host_image.hpp"

using test::contains;
using test::FromHost;
using test::inject_fixture;
using test::Ran;
namespace fs = std::filesystem;

namespace {

const std::string library = inject_fixture("lib/libcharlie_answer.so.1.0");
const std::string program = inject_fixture("bin/charlie_ask");
const std::string user = inject_fixture("lib/libcharlie_user.so.1");

/// A host where the loader finds our libraries.
struct WithHostLibraries : FromHost {
  fs::path host = dir / "host";
  WithHostLibraries() {
    fs::create_directory(host);
    fs::create_symlink(library, host / "libcharlie_answer.so.1");
    fs::create_symlink(inject_fixture("lib/libcharlie_versioned.so.1"),
                       host / "libcharlie_versioned.so.1");
    options.environment.push_back("LD_LIBRARY_PATH=" + host.string());
  }
  [[nodiscard]] std::string host_library(const char* soname) const {
    return (host / soname).string();
  }
};

}  // namespace

TEST_CASE("a program brings the library that the image lacks, and runs", "[inject][tool]") {
  const WithHostLibraries f;
  const auto before = test::everything(f.image);
  SECTION("where programs go") {
    const Ran ran = f({"-v", "-p", program});
    CAPTURE(ran.out, ran.err);
    REQUIRE(ran.status == 0);
    CHECK(ran.err.empty());
    CHECK(contains(ran.out, f.host_library("libcharlie_answer.so.1") +
                                " -> /usr/local/lib (needed by " + program + ")"));
    CHECK(f.inside({"charlie_ask"}).out == "the answer is 42\n");
    const auto first = test::everything(f.image, true);
    CHECK(contains(f({"-p", program}).out, "nothing to do"));
    CHECK(first == test::everything(f.image, true));
  }
  SECTION("in another place, the library still where the loader looks") {
    REQUIRE(f({"-d", "/usr/lib", "-p", program}).status == 0);
    CHECK(f.inside({"/usr/lib/charlie_ask"}).out == "the answer is 42\n");
  }
  REQUIRE(f({"--remove"}).status == 0);
  CHECK(before == test::everything(f.image));
}

TEST_CASE("--dry-run tells what a program would bring, and changes nothing", "[inject][tool]") {
  const WithHostLibraries f;
  const auto before = test::everything(f.image, true);
  const Ran ran = f({"--dry-run", "-p", program});
  CHECK(ran.status == 0);
  CHECK(contains(ran.out, "libcharlie_answer.so.1 -> /usr/local/lib (needed by " + program + ")"));
  CHECK(before == test::everything(f.image, true));
}

TEST_CASE("a program does not bring what is there", "[inject][tool]") {
  const WithHostLibraries f;
  SECTION("in the image") {
    fs::copy_file(library, f.image / "usr/lib/libcharlie_answer.so.1");
    const Ran ran = f({"-v", "-p", program});
    CHECK(ran.status == 0);
    CHECK(contains(ran.out, "skipping libcharlie_answer.so.1, which the image has"));
    CHECK_FALSE(fs::exists(f.image / "usr/local/lib/libcharlie_answer.so.1"));
  }
  SECTION("or named as well, in either order") {
    for (const auto& [first, second] : {std::pair(program, library), std::pair(library, program)}) {
      const Ran ran = f({"-p", first, "-p", second});
      CAPTURE(ran.err);
      CHECK(ran.status == 0);
      CHECK(fs::read_symlink(f.image / "usr/local/lib/libcharlie_answer.so.1") ==
            "libcharlie_answer.so.1.0");
    }
  }
  CHECK(f.inside({"charlie_ask"}).out == "the answer is 42\n");
}

TEST_CASE("--without-libs brings nothing, and warns of what is missing", "[inject][tool]") {
  const WithHostLibraries f;
  const Ran ran = f({"--without-libs", "-p", program});
  CHECK(ran.status == 0);
  CHECK(contains(ran.err, "warning: " + program +
                              " needs libcharlie_answer.so.1, which neither the image nor this "
                              "injection has: inject that, too, or bind it into the container"));
  CHECK_FALSE(fs::exists(f.image / "usr/local/lib/libcharlie_answer.so.1"));
}

TEST_CASE("a library brings others only if that is asked for, and newer ones in place of old ones",
          "[inject][tool]") {
  const WithHostLibraries f;
  SECTION("the image has none") {
    const Ran plain = f({"-p", user});
    CHECK(contains(plain.err, "needs libcharlie_versioned.so.1, which neither"));
    CHECK(f({"--with-libs", "-p", user}).err.empty());
    CHECK(fs::exists(f.image / "usr/local/lib/libcharlie_versioned.so.1"));
  }
  SECTION("the image's is too old") {
    fs::copy_file(inject_fixture("image/libcharlie_versioned.so.1"),
                  f.image / "usr/lib/libcharlie_versioned.so.1");
    const auto before = test::everything(f.image, true);
    CHECK(contains(f({"-p", user}).err, "the image's libcharlie_versioned.so.1 is too old"));
    CHECK(before == test::everything(f.image, true));
    const Ran ran = f({"-v", "--with-libs", "-p", user});
    CAPTURE(ran.out, ran.err);
    REQUIRE(ran.status == 0);
    CHECK(contains(ran.out,
                   "/usr/lib/libcharlie_versioned.so.1 of the image lacks CHARLIE_1.9, so "
                   "the host's is injected"));
    CHECK(fs::exists(f.image / "usr/local/lib/libcharlie_versioned.so.1"));
    const auto first = test::everything(f.image, true);
    CHECK(contains(f({"--with-libs", "-p", user}).out, "nothing to do"));
    CHECK(first == test::everything(f.image, true));
  }
}

TEST_CASE("what the host lacks as well is a warning", "[inject][tool]") {
  const FromHost f;
  const Ran ran = f({"-p", program});
  CHECK(ran.status == 0);
  CHECK(contains(ran.err, "warning: " + program + " needs libcharlie_answer.so.1"));
}
