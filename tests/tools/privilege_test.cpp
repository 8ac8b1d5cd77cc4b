// SPDX-License-Identifier: Apache-2.0
//
// Tools whose file somebody made set-uid root, set-gid, or gave capabilities: none runs, not
// even for --version. What the tests do takes root, as root they are run, too.

#include <grp.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include <cstring>

#include "tests/support/ch_run.hpp"

namespace {

using test::contains;

constexpr unsigned stranger = 12345;  // a user id, and a group id, that nobody has

const char* const tools[] = {CHARLIE_CH_RUN, CHARLIE_CH_TAR2DIR, CHARLIE_CH_FROMHOST,
                             CHARLIE_CH_DEVICE};

test::RunOptions as_stranger() {
  test::RunOptions options;
  options.environment = {"PATH=/usr/bin:/bin"};
  options.in_child = [] {
    if (setgroups(0, nullptr) != 0 || setresgid(stranger, stranger, stranger) != 0 ||
        setresuid(stranger, stranger, stranger) != 0)
      _exit(99);
  };
  return options;
}

bool allow_raw_sockets(const test::fs::path& file) {
  vfs_cap_data data{};
  data.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  data.data[0].permitted = 1U << CAP_NET_RAW;
  return setxattr(file.c_str(), "security.capability", &data, XATTR_CAPS_SZ_2, 0) == 0;
}

bool set_uid_works(const test::TempDir& dir) {
  struct statvfs fs;
  REQUIRE(statvfs(dir.path().c_str(), &fs) == 0);
  return (fs.f_flag & ST_NOSUID) == 0;
}

void must_refuse(const test::fs::path& copy, const test::RunOptions& options) {
  for (const char* option : {"--version", "--help", "/nowhere"}) {
    const auto ran = test::run({copy, option}, options);
    INFO(copy << ' ' << option << ": " << ran.out << ran.err);
    CHECK(ran.status != 0);
    CHECK(ran.status < 128);
    CHECK(ran.out.empty());
    CHECK(contains(ran.err, ": error: refusing to run "));
    CHECK(contains(ran.err, ": remedy: "));
  }
}

}  // namespace

TEST_CASE("no tool runs as a set-uid or set-gid program, or with capabilities", "[tool]") {
  if (getuid() != 0) return;  // only root can make such files
  const test::TempDir dir;
  SKIP_UNLESS(set_uid_works(dir), "set-uid files have no effect here");
  for (const char* tool : tools) {
    const auto copy = dir / test::fs::path(tool).filename();
    test::fs::copy_file(tool, copy);
    const auto plain = test::run({copy, "--version"}, as_stranger());
    CHECK(plain.status == 0);

    REQUIRE(chmod(copy.c_str(), 04755) == 0);
    must_refuse(copy, as_stranger());
    REQUIRE(chown(copy.c_str(), stranger + 1, stranger + 1) == 0);
    REQUIRE(chmod(copy.c_str(), 04755) == 0);  // of another ordinary user
    must_refuse(copy, as_stranger());
    REQUIRE(chmod(copy.c_str(), 02755) == 0);
    must_refuse(copy, as_stranger());
    REQUIRE(chmod(copy.c_str(), 0755) == 0);
    if (!allow_raw_sockets(copy)) continue;
    must_refuse(copy, as_stranger());
    // The dynamic loader takes these away, and moves what is behind them in the environment.
    auto preloading = as_stranger();
    preloading.environment.insert(preloading.environment.end(),
                                  {"LD_PRELOAD=/nowhere", "LD_LIBRARY_PATH=/nowhere"});
    must_refuse(copy, preloading);
  }
}

TEST_CASE("ch-checkns is refused as ch-run is", "[tool]") {
  if (getuid() != 0) return;
  const test::TempDir dir;
  SKIP_UNLESS(set_uid_works(dir), "set-uid files have no effect here");
  test::fs::copy_file(CHARLIE_CH_RUN, dir / "ch-checkns");
  REQUIRE(chmod((dir / "ch-checkns").c_str(), 04755) == 0);
  const auto ran = test::run({dir / "ch-checkns"}, as_stranger());
  CHECK(ran.status == 31);
  CHECK(ran.err.rfind("ch-checkns: error: refusing to run with privilege", 0) == 0);
}

TEST_CASE("root with an unexpected group is refused, root in its own container is not", "[tool]") {
  const test::ChRun f;
  if (getuid() == 0) {
    test::RunOptions options;
    options.in_child = [] {
      if (setgroups(0, nullptr) != 0 || setresgid(stranger, stranger, stranger) != 0) _exit(99);
    };
    for (const char* tool : tools) must_refuse(tool, options);
  }
  STATIC_TOOLS_ONLY();
  // Inside, uid 0 with the group of outside is what --uid=0 gives.
  test::fs::copy_file(test::ch_run_path(), test::fs::path(f.image) / "bin/ch-run");
  const auto nested = f.ch_run({"-u0", "-g", "777", f.image, "--", "ch-run", "--version"});
  INFO(nested.err);
  CHECK(nested.status == 0);
}

TEST_CASE("no_new_privs disables the set-uid bit, so there is no refusal", "[tool]") {
  if (getuid() != 0) return;
  const test::TempDir dir;
  SKIP_UNLESS(set_uid_works(dir), "set-uid files have no effect here");
  test::fs::copy_file(CHARLIE_CH_RUN, dir / "ch-run");
  REQUIRE(chmod((dir / "ch-run").c_str(), 04755) == 0);
  const auto ran = test::run({"setpriv", "--no-new-privs", dir / "ch-run", "--version"}, as_stranger());
  INFO(ran.err);
  CHECK(ran.status == 0);
}
