// SPDX-License-Identifier: Apache-2.0
//
// ch-fromhost on an image that can't be written to: what needs no change is done, the rest is one
// error that says so and claims nothing else.

#include <sched.h>
#include <sys/mount.h>

#include "tests/inject/host_image.hpp"

using test::contains;
using test::FromHost;
using test::inject_fixture;
using test::Ran;
namespace fs = std::filesystem;

namespace {

void put(const char* path, const std::string& text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) _exit(97);
  close(fd);
}

/// What runs after this sees `image` read-only.
std::function<void()> sealing(const fs::path& image) {
  return [image] {
    const std::string uid = std::to_string(getuid()), gid = std::to_string(getgid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) _exit(98);
    put("/proc/self/setgroups", "deny");
    put("/proc/self/uid_map", uid + ' ' + uid + " 1");
    put("/proc/self/gid_map", gid + ' ' + gid + " 1");
    const char* path = image.c_str();
    if (mount(path, path, nullptr, MS_BIND, nullptr) != 0 ||
        mount(nullptr, path, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV,
              nullptr) != 0)
      _exit(99);
  };
}

}  // namespace

TEST_CASE("an unwritable image is one error, and not reported as changed", "[inject][tool]") {
  FromHost f;
  const std::string program = inject_fixture("bin/charlie_ask");
  const std::string library = inject_fixture("lib/libcharlie_answer.so.1.0");
  const auto refuses = [&f](const std::vector<std::string>& words) {
    const auto before = test::everything(f.image, true);
    f.options.in_child = sealing(f.image);
    const Ran ran = f(words);
    f.options.in_child = {};
    CAPTURE(words, ran.status, ran.err);
    CHECK(ran.status == 1);
    CHECK(contains(ran.err, "ch-fromhost: error: " + f.image.string() +
                                ": can't write to the image (Read-only file system)\n"));
    CHECK(contains(ran.err, "\nch-fromhost: remedy: "));
    CHECK(contains(ran.err, "use a writable file system"));
    CHECK_FALSE(contains(ran.err, "half changed"));
    CHECK_FALSE(contains(ran.err, "undone"));
    CHECK_FALSE(contains(ran.err, "are left"));
    CHECK(before == test::everything(f.image, true));
  };
  const auto does = [&f](const std::vector<std::string>& words, const char* says) {
    f.options.in_child = sealing(f.image);
    const Ran ran = f(words);
    f.options.in_child = {};
    CAPTURE(words, ran.status, ran.err);
    CHECK(ran.status == 0);
    CHECK(contains(ran.out, says));
  };
  refuses({"-p", program});
  refuses({"--no-ldconfig", "-p", library});
  refuses({"-p", program, "-p", library});
  does({"--remove"}, "nothing is injected");
  does({"--dry-run", "-p", program}, "would inject");
  does({"--lib-path"}, "/usr/local/lib");
  REQUIRE(f({"-p", program, "-p", library}).status == 0);
  refuses({"--remove"});
  refuses({"--no-ldconfig", "--remove"});
  does({"--list"}, "/usr/bin/charlie_ask");
  does({"--dry-run", "--remove"}, "rm /usr/bin/charlie_ask");
  does({"-p", program, "-p", library}, "nothing to do");
  refuses({"-p", program, "-p", library, "-d", "/etc", "-p", "/etc/hostname"});
}
