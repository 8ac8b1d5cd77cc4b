// SPDX-License-Identifier: Apache-2.0
//
// ch-tar2dir with little memory or a small stack: it always works or says what
// it lacks, and leaves nothing.

#include <sys/resource.h>

#include "tests/image/tool_fixture.hpp"
#include "tests/support/filter_calls.hpp"

namespace {

using test::ch_tar2dir;
using test::contains;
using test::content;
using test::limited;
using test::Ran;
using test::run;
using test::small_tar;
using Fixture = test::ToolFixture;

constexpr const char* both[] = {"--contain=always", "--contain=never"};

/// It has worked; or it has failed by one error, whose remedy names the limit, and left nothing.
void check_all_or_nothing(const Fixture& f, const Ran& ran, const std::string& limit) {
  if (ran.status == 0) {
    CHECK(content(f.image + "/usr/f") == "content");
    CHECK(f.beside() == std::vector<std::string>{"image"});
    test::fs::remove_all(f.image);
    return;
  }
  CHECK(ran.status == 1);
  CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 2);
  CHECK(ran.err.starts_with("ch-tar2dir: error: "));
  CHECK(contains(ran.err, "ch-tar2dir: remedy: "));
  CHECK(contains(ran.err, limit));
  CHECK(f.beside().empty());
}

}  // namespace

TEST_CASE("however little memory there is, it works or says so", "[image][tool]") {
#if defined(__SANITIZE_ADDRESS__)
  return;  // the sanitizer itself maps terabytes of address space
#endif
  const Fixture f;
  for (const char* how : both) {
    int worked = 0, failed = 0;
    for (rlim_t kib = 20'000; worked < 12; kib += 200) {
      test::RunOptions options;
      options.in_child = limited(RLIMIT_AS, kib * 1024);
      const Ran ran = f.unpack({"--no-sync", how}, options);
      if (ran.status == 127) continue;  // its libraries don't fit
      CAPTURE(how, kib, ran.status, ran.err);
      check_all_or_nothing(f, ran, "ulimit -v");
      ran.status == 0 ? ++worked : ++failed;
      REQUIRE(kib < 200'000);
    }
    CHECK(failed > 5);
  }
}

TEST_CASE("however little memory there is for a large description, it works or says so",
          "[image][tool]") {
#if defined(__SANITIZE_ADDRESS__)
  return;
#endif
  const Fixture f;
  test::Json config = test::config_for({small_tar().bytes()});
  for (const char* name : {"names", "once more"})
    for (int i = 0; i < 50'000; ++i) config[name].push_back({{"a", {i}}});
  test::write_file(f.archive, test::image_archive({{small_tar().bytes()}, "none", config},
                                                  test::Layout::docker_new));
  for (const char* how : both) {
    int failed = 0;
    for (rlim_t kib = 30'000; kib < 120'000; kib += 2'000) {
      test::RunOptions options;
      options.in_child = limited(RLIMIT_AS, kib * 1024);
      const Ran ran = f.unpack({"--no-sync", how}, options);
      if (ran.status == 127) continue;
      CAPTURE(how, kib, ran.status, ran.err);
      check_all_or_nothing(f, ran, "ulimit -v");
      failed += ran.status == 0 ? 0 : 1;
    }
    CHECK(failed > 5);
  }
}

TEST_CASE("128 MiB of address space are enough for eight threads and a mapped archive",
          "[image][tool]") {
#if defined(__SANITIZE_ADDRESS__)
  return;
#endif
  const Fixture f;
  test::Tar tar = small_tar();
  for (int i = 0; i < 40; ++i) {
    tar.file("large" + std::to_string(i), std::string(1 << 20, 'x'));
    for (int j = 0; j < 50; ++j)
      tar.file("small" + std::to_string(i) + "-" + std::to_string(j), "small");
  }
  test::write_file(f.archive, tar.bytes());
  for (const char* how : both) {
    test::RunOptions options;
    options.in_child = limited(RLIMIT_AS, 128 << 20);
    const Ran ran = f.unpack({"--no-sync", "-j8", how}, options);
    CAPTURE(how, ran.err);
    CHECK(ran.status == 0);
  }
}

TEST_CASE("however few files may be open, it works or says so", "[image][tool]") {
  const Fixture f;
  const std::string docker =
      test::image_archive({{small_tar().bytes()}, "zstd", {}}, test::Layout::docker_new);
  for (const std::string& archive : {test::compress(small_tar().bytes(), "gzip"), docker}) {
    test::write_file(f.archive, archive);
    for (const char* how : both)
      for (rlim_t files = 3; files <= 64; ++files) {
        test::RunOptions options;
        options.in_child = limited(RLIMIT_NOFILE, files);
        const Ran ran = f.unpack({"--no-sync", how}, options);
        if (ran.status == 127) continue;  // its libraries can't be opened
        CAPTURE(how, files, ran.status, ran.err);
        check_all_or_nothing(f, ran, "ulimit -n");
        if (files >= 48) CHECK(ran.status == 0);
      }
  }
}

TEST_CASE("however small the stack is, it works or says so", "[image][tool]") {
#if defined(__SANITIZE_ADDRESS__)
  return;  // the sanitizer needs a larger stack
#endif
  const Fixture f;
  const std::string docker =
      test::image_archive({{small_tar().bytes()}, "zstd", {}}, test::Layout::docker_new);
  for (const std::string& archive : {test::compress(small_tar().bytes(), "gzip"), docker}) {
    test::write_file(f.archive, archive);
    for (const char* how : both)
      for (const bool openat2 : {true, false})
        for (const rlim_t kib : {24U, 28U, 32U, 36U, 40U, 48U, 256U}) {
          test::RunOptions options;
          options.environment = {"PATH=/usr/bin:/bin"};
          options.in_child = [=] {
            limited(RLIMIT_STACK, kib * 1024)();
            if (!openat2) test::filter_calls({SYS_openat2}, ENOSYS);
          };
          const Ran ran = f.unpack({"--no-sync", how}, options);
          CAPTURE(how, kib, openat2, ran.status, ran.err);
          check_all_or_nothing(f, ran, "ulimit -s");
          if (kib >= 48) CHECK(ran.err.empty());
        }
  }
}
