// SPDX-License-Identifier: Apache-2.0
//
// Names below a held directory: no link is followed, and nothing is replaced that may not be.

#include <catch2/catch.hpp>

#include "ch/image/renaming.hpp"
#include "tests/support/files.hpp"
#include "tests/support/filter_calls.hpp"

#include <sys/wait.h>

using namespace ch::images;
using ch::io::Descriptor;
using ch::io::open_directory;

TEST_CASE("a link to a directory is not opened as that directory", "[image][pure]") {
  const test::TempDir dir;
  test::fs::create_directory(dir / "real");
  test::fs::create_directory_symlink("real", dir / "link");
  const Descriptor at(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY));
  CHECK(open_directory(at.get(), "real"));
  try {
    (void)open_directory(at.get(), "link");
    CHECK(false);
  } catch (const ch::io::Failed& e) {
    CHECK((e.code() == ENOTDIR || e.code() == ELOOP));
  }
}

TEST_CASE("if the kernel can't avoid replacing names, they are examined first", "[image][pure]") {
  const test::TempDir dir;
  test::fs::create_directory(dir / "new");
  test::fs::create_directory(dir / "empty");
  test::write_file(dir / "file", "mine");
  test::write_file(dir / "other", "other");
  const Descriptor at(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY));
  for (const int lacking : {EINVAL, ENOSYS, EPERM, EOPNOTSUPP}) {
    const pid_t old = ::fork();
    if (old == 0) {
      test::filter_calls({SYS_renameat2}, static_cast<unsigned>(lacking));
      const auto kept = [&](const char* from, const char* to) {
        return rename_with(at.get(), from, at.get(), to, RENAME_NOREPLACE) == -1 && errno == EEXIST;
      };
      if (!kept("new", "empty") || !kept("other", "file")) ::_exit(1);
      if (rename_with(at.get(), "new", at.get(), "moved", RENAME_NOREPLACE) != 0) ::_exit(2);
      if (rename_with(at.get(), "moved", at.get(), "new", RENAME_NOREPLACE) != 0) ::_exit(3);
      ::_exit(rename_with(at.get(), "new", at.get(), "empty", RENAME_EXCHANGE) == -1 ? 0 : 4);
    }
    int status = 0;
    REQUIRE(::waitpid(old, &status, 0) == old);
    CHECK(status == 0);
    CHECK(test::read_file(dir / "file") == "mine");
  }
}
