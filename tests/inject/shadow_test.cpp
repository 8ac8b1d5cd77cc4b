// SPDX-License-Identifier: Apache-2.0
//
// A library that is injected takes the place of the image's: what the image's own programs need
// of it must still be there, and no part of the C library is ever replaced.

#include "tests/inject/host_image.hpp"

using test::contains;
using test::FromHost;
using test::inject_fixture;
using test::Ran;
namespace fs = std::filesystem;

TEST_CASE("the C library and its loader are never replaced", "[inject][tool]") {
  const FromHost f;
  const std::string program = inject_fixture("bin/charlie_ask");
  const std::string library = inject_fixture("lib/libcharlie_answer.so.1.0");
  const auto before = test::everything(f.image, true);
  for (const std::string& file : {test::host_libc().string(), test::host_loader().string()}) {
    const Ran ran = f({"-p", program, "-p", file});
    CAPTURE(file, ran.err);
    CHECK(ran.status == 1);
    CHECK(contains(ran.err, "the image has its own"));
    CHECK(contains(ran.err, "\nch-fromhost: remedy: "));
    CHECK(before == test::everything(f.image, true));
  }
  // ldd lists them for every program.
  const std::string list = f.dir / "list";
  test::write_file(list, program + '\n' + test::host_libc().string() + '\n' + library + '\n' +
                             test::host_loader().string() + '\n');
  const Ran ran = f({"-f", list});
  CAPTURE(ran.err);
  CHECK(ran.status == 0);
  CHECK(contains(ran.err, "warning: left out"));
  CHECK(contains(ran.err, "libc.so.6, ld-linux"));
  CHECK(f.inside({"charlie_ask"}).out == "the answer is 42\n");
  // Where no loader looks by itself, they may lie.
  fs::create_directories(f.image / "opt/other");
  CHECK(f({"-d", "/opt/other", "-p", test::host_libc()}).status == 0);
}

TEST_CASE("a library without what the image's programs need of it is refused, by name",
          "[inject][tool]") {
  const FromHost f;
  const fs::path places = f.image / "usr/local/lib";
  const std::string older = inject_fixture("image/libcharlie_versioned.so.1");
  fs::copy_file(inject_fixture("lib/libcharlie_versioned.so.1"),
                places / "libcharlie_versioned.so.1");
  fs::copy_file(inject_fixture("lib/libcharlie_user.so.1"), places / "libcharlie_user.so.1");
  const auto before = test::everything(f.image, true);
  const Ran ran = f({"-p", older});
  CAPTURE(ran.err);
  CHECK(ran.status == 1);
  CHECK(contains(ran.err, "libcharlie_user.so.1 of the image needs CHARLIE_1.9"));
  CHECK(contains(ran.err, "\nch-fromhost: remedy: "));
  CHECK(before == test::everything(f.image, true));
  // Where nothing needs that version, an older one may take its place.
  fs::remove(places / "libcharlie_user.so.1");
  const Ran free = f({"-p", older});
  CAPTURE(free.err);
  CHECK(free.status == 0);
}
