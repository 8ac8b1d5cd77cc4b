// SPDX-License-Identifier: Apache-2.0
//
// ch-device looks up its image once, whatever happens to the path afterwards.

#include "tests/inject/device_image.hpp"
#include "tests/support/faults.hpp"

#if defined(CHARLIE_HAVE_TRACER)

namespace fs = std::filesystem;

TEST_CASE("ch-device asks the image that it was given, whatever its path leads to later",
          "[inject][tool]") {
  const test::DeviceImage f;
  const fs::path other = f.dir / "other", aside = f.dir / "aside";
  test::make_image(other);  // without ldconfig
  for (const bool from_the_start : {true, false}) {
    CAPTURE(from_the_start);
    test::Fault fault{[](long number) { return number == SYS_clone; }};
    fault.from = SYS_clone;
    fault.in_programs = false;
    fault.at = from_the_start ? 1000 : 0;
    const auto swap = [&] {
      fs::rename(f.image, aside);
      fs::rename(other, f.image);
    };
    fault.meddle = swap;
    if (from_the_start) swap();
    const auto ran =
        test::run_with_fault({test::tool("CH_DEVICE", CHARLIE_CH_DEVICE), "--cdi-dirs", f.cdi,
                              "--device", "a.b/c=d", "--image", f.image, "--ld-cache", f.cache},
                             fault);
    CAPTURE(ran.err);
    CHECK(ran.status == 0);
    CHECK(ran.hit == !from_the_start);
    CHECK(fs::exists(f.cache) == !from_the_start);
    fs::rename(f.image, other);
    fs::rename(aside, f.image);
  }
}

#endif
