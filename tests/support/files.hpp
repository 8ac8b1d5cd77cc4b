// SPDX-License-Identifier: Apache-2.0
//
// Test support: temporary directories, small files, and the minimal image that most
// tests run in: Debian's static busybox and the mount points.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/support/require.hpp"

namespace test {

namespace fs = std::filesystem;

/// A directory that is removed at the end of the block, whatever modes a test
/// has set in it.
class TempDir {
 public:
  explicit TempDir(const char* base = std::getenv("TMPDIR")) {
    std::string name = std::string(base != nullptr ? base : "/tmp") + "/charlie-test.XXXXXX";
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = fs::canonical(name);
    fs::permissions(path_, fs::perms(0755));
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    for (auto it = fs::recursive_directory_iterator(
             path_, fs::directory_options::skip_permission_denied, ignored);
         it != fs::recursive_directory_iterator(); it.increment(ignored))
      if (it->is_directory(ignored) && !it->is_symlink(ignored))
        fs::permissions(it->path(), fs::perms(0700), ignored);
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] const fs::path& path() const { return path_; }
  [[nodiscard]] fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

inline void write_file(const fs::path& path, const std::string& content) {
  std::ofstream out(path);
  out << content;
  REQUIRE(out.good());
}

inline std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text;
  std::vector<char> piece(std::size_t{1} << 16);
  while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())), in.gcount() > 0)
    text.append(piece.data(), static_cast<std::size_t>(in.gcount()));
  return text;
}

/// Must tests that need something of the machine fail instead of being skipped?
inline bool must_work() { return std::getenv("CHARLIE_MUST_WORK") != nullptr; }

/// Skips the test if `condition` does not hold, and says why; a failure in CI.
#define SKIP_UNLESS(condition, why)                   \
  do {                                                \
    if (!(condition)) {                               \
      if (test::must_work()) FAIL("must work: " why); \
      WARN("skipped: " why);                          \
      return;                                         \
    }                                                 \
  } while (false)

/// Fills `image` with busybox, links for the given applets, and the usual mount points.
inline void make_image(const fs::path& image) {
  for (const char* d :
       {"bin", "dev", "proc", "sys", "tmp", "home", "etc", "mnt/0", "mnt/1", "mnt/2"})
    fs::create_directories(image / d);
  const fs::path busybox = fs::exists("/bin/busybox") ? "/bin/busybox" : "/usr/bin/busybox";
  REQUIRE(fs::exists(busybox));
  fs::copy_file(busybox, image / "bin/busybox");
  for (const char* applet :
       {"sh",   "ls",     "cat",  "id",     "stat", "readlink", "touch", "true",  "false",
        "env",  "pwd",    "echo", "mkdir",  "kill", "sleep",    "wc",    "mount", "grep",
        "sort", "umount", "test", "printf", "tty",  "dd",       "ps"})
    fs::create_symlink("busybox", image / "bin" / applet);
  for (const char* f :
       {"etc/passwd", "etc/group", "etc/hosts", "etc/resolv.conf", "etc/machine-id"})
    write_file(image / f, "");
}

}  // namespace test
