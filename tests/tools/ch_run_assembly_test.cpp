// SPDX-License-Identifier: Apache-2.0
//
// The three ways to assemble a container, and what happens to them when the kernel lacks
// a call half-way: whatever the way, the container has the same mounts with the same flags.

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <set>
#include <sstream>

#include "tests/support/ch_run.hpp"
#include "tests/support/filter_calls.hpp"

namespace {

using test::contains;
using test::Ran;

constexpr unsigned long no_symlinks = 256;  // MS_NOSYMFOLLOW, newer than Debian 12's headers

struct Flagged {
  const char* name;
  unsigned long flags;
  const char* shown;  // in mountinfo
};
const Flagged flagged[] = {
    {"nosuid", MS_NOSUID, "nosuid"},
    {"nodev", MS_NODEV, "nodev"},
    {"noexec", MS_NOEXEC, "noexec"},
    {"noatime", MS_NOATIME, "noatime"},
    {"relatime", MS_RELATIME, "relatime"},
    {"nodiratime", MS_NODIRATIME | MS_STRICTATIME, "nodiratime"},
    {"nosymfollow", no_symlinks, "nosymfollow"},
    {"all", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | no_symlinks, "noexec"},
};

/// An image with a mount in it, and a tree of mounts to bind, in a user namespace of the
/// test's own: these mounts are locked for ch-run, as on any host.
struct Fixture : test::ChRun {
  std::string tree = dir / "tree";

  Fixture() {
    test::fs::create_directories(image + "/data");
    test::fs::create_directories(tree);
    options.in_child = [this] { prepare(); };
  }
  void prepare() const {
    const std::string uid = "0 " + std::to_string(getuid()) + " 1";
    const std::string gid = "0 " + std::to_string(getgid()) + " 1";
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) _exit(90);
    put("/proc/self/setgroups", "deny");
    put("/proc/self/uid_map", uid);
    put("/proc/self/gid_map", gid);
    mount_at(image + "/data", 0);
    mkdir((image + "/data/sub").c_str(), 0755);
    mount_at(image + "/data/sub", MS_NOEXEC);
    mount_at(tree, 0);
    for (const Flagged& f : flagged) {
      mkdir((tree + '/' + f.name).c_str(), 0755);
      mount_at(tree + '/' + f.name, f.flags);
    }
    const std::string deep = tree + "/nosuid/a name with blanks\\and more";
    mkdir(deep.c_str(), 0755);
    mount_at(deep, 0);
  }
  static void put(const char* path, const std::string& text) {
    const int fd = open(path, O_WRONLY);
    if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) _exit(91);
    close(fd);
  }
  static void mount_at(const std::string& place, unsigned long flags) {
    if (mount("tmpfs", place.c_str(), "tmpfs", flags, "size=64k") != 0) _exit(92);
  }
};

/// Mount point and options of each mount, sorted where the order differs.
std::multiset<std::string> mounts_in(const std::string& mountinfo) {
  std::multiset<std::string> all;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, root, point, flags;
    fields >> id >> parent >> device >> root >> point >> flags;
    all.insert(point + ' ' + flags);
  }
  return all;
}

std::string joined(const std::multiset<std::string>& all) {
  std::string text;
  for (const auto& one : all) text += one + '\n';
  return text;
}

const std::string all_mounts = "while read -r line; do echo \"$line\"; done < /proc/self/mountinfo";

}  // namespace

TEST_CASE("every way of assembly gives the same mounts with the same flags", "[tool]") {
  STATIC_TOOLS_ONLY();
  const Fixture f;
  const std::string none;
  for (const std::string access : {":ro", ""}) {
    std::string first;
    for (const std::string way : {"detached", "attached", "classic"}) {
      const Ran ran =
          f.script(all_mounts, {"--assembly=" + way, "--no-home", "-b", f.tree + ":/mnt/1" + access,
                                "-b", f.home + ":/mnt/2:ro"});
      INFO(way << access << ": " << ran.err);
      REQUIRE(ran.status == 0);
      const std::string mounts = joined(mounts_in(ran.out));
      if (first.empty()) first = mounts;
      CHECK(mounts == first);
    }
    CAPTURE(first);
    const std::string ro = access.empty() ? "rw," : "ro,";
    for (const Flagged& flag : flagged) {
      const auto at = first.find(std::string("/mnt/1/") + flag.name + ' ' + ro);
      REQUIRE(at != std::string::npos);
      CHECK(contains(first.substr(at, first.find('\n', at) - at), flag.shown));
    }
    CHECK(contains(first, "\\134and\\040more " + ro));  // octal, as the kernel writes it
    CHECK(contains(first, "/data ro,"));                // the image is read-only, and so
    CHECK(contains(first, "/data/sub ro,"));            // is what is mounted in it
  }
}

TEST_CASE("if a call is missing half-way, each mount is still made only once", "[tool]") {
  STATIC_TOOLS_ONLY();
  Fixture f;
  const std::vector<std::string> words = {"--no-home", "-b", f.tree + ":/mnt/1:ro"};
  const auto mounts = [&](const std::string& way) {
    auto all = words;
    all.push_back("--assembly=" + way);
    const Ran ran = f.script(all_mounts, all);
    INFO(way << ": " << ran.err);
    REQUIRE(ran.status == 0);
    return joined(mounts_in(ran.out));
  };
  const std::string expected = mounts("classic");
  for (const long hidden : {SYS_mount_setattr, SYS_move_mount, SYS_open_tree, SYS_fsopen}) {
    f.options.in_child = [&] {
      f.prepare();
      test::filter_calls({static_cast<unsigned>(hidden)}, ENOSYS);
    };
    CAPTURE(hidden);
    CHECK(mounts("attached") == expected);
    CHECK(mounts("detached") == expected);
  }
}

TEST_CASE("a missing mount point gives the same mounts, attached or detached", "[tool]") {
  STATIC_TOOLS_ONLY();
  const test::ChRun f;
  std::string first;
  for (const std::string way : {"detached", "attached"}) {
    const Ran ran = f.script(all_mounts, {"--assembly=" + way, "-b", f.home + ":/new/place"});
    INFO(way << ": " << ran.err);
    REQUIRE(ran.status == 0);
    const std::string mounts = joined(mounts_in(ran.out));
    if (first.empty()) first = mounts;
    CHECK(mounts == first);
  }
}

TEST_CASE("the host's own root can be the image, whatever the assembly", "[tool]") {
  const test::ChRun f;
  for (const std::string way : {"detached", "attached", "classic"}) {
    const Ran ran = f.ch_run({"--assembly=" + way, "/", "--", "/bin/sh", "-c",
                              "test -e /usr && ! touch /usr/x 2>/dev/null && echo right"});
    INFO(way << ": " << ran.err);
    CHECK(ran.out == "right\n");
  }
}
