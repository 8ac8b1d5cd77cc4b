// SPDX-License-Identifier: Apache-2.0
//
// Test support: ch-run on a minimal image, with an environment that the test controls.
#pragma once

#include "tests/support/files.hpp"
#include "tests/support/process.hpp"

#ifndef CHARLIE_CH_RUN
#define CHARLIE_CH_RUN "ch-run"
#endif

#ifndef CHARLIE_TOOLS_ARE_STATIC
#define CHARLIE_TOOLS_ARE_STATIC 1
#endif

/// Skips a test that only makes sense for a ch-run without libc: that it runs in any
/// image, and what each of its system calls does. Builds with sanitizers have a libc.
#define STATIC_TOOLS_ONLY()             \
  do {                                  \
    if (!CHARLIE_TOOLS_ARE_STATIC) {    \
      WARN("not for a ch-run with libc"); \
      return;                           \
    }                                   \
  } while (false)

namespace test {

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline std::string ch_run_path() { return tool("CH_RUN", CHARLIE_CH_RUN); }

/// A minimal image and a home directory, both in one temporary directory.
struct ChRun {
  TempDir dir;
  std::string image = dir / "image";
  std::string home = dir / "home";
  RunOptions options;

  ChRun() {
    make_image(image);
    fs::create_directory(home);
    options.environment = {"PATH=/usr/bin:/bin", "HOME=" + home, "TMPDIR=/somewhere", "ODD=a=b"};
  }
  Ran ch_run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), ch_run_path());
    return run(arguments, options);
  }
  /// Runs a shell script in the image, with options.
  Ran script(const std::string& text, std::vector<std::string> before = {}) const {
    before.insert(before.end(), {image, "--", "sh", "-c", text});
    return ch_run(before);
  }
};

inline std::string user_name() {
  const Ran ran = run({"id", "-un"});
  return ran.out.substr(0, ran.out.size() - 1);
}

}  // namespace test
