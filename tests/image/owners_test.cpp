// SPDX-License-Identifier: Apache-2.0
//
// ch-tar2dir --subids: the owners that the archive names, as subordinate ids. Without, and
// if none are configured, everything is the caller's or nothing happens.

#include <fstream>

#include "ch/run.hpp"
#include "tests/image/image_archives.hpp"
#include "tests/support/process.hpp"

namespace {

using namespace ch::images;
using test::content;
using test::run;
using test::Tar;
using test::TempDir;
namespace fs = std::filesystem;

std::string ch_tar2dir() { return test::tool("CH_TAR2DIR", CHARLIE_CH_TAR2DIR); }

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// An entry of each kind, owned by 5:7.
Tar owned_tar() {
  Tar tar;
  const auto mine = [&tar]() -> Tar& { return tar.pax({{"uid", "5"}, {"gid", "7"}}); };
  tar.dir("bin/").dir("dev/").dir("usr/");
  mine().file("usr/file", "x", 04755);
  mine().dir("usr/closed/", 0700);
  mine().file("usr/closed/in", "i", 0600);
  mine().symlink("usr/link", "file");
  mine().add({"usr/fifo", '6', "", "", 0600});
  tar.file("usr/roots", "r");
  return tar;
}

/// The outside id of `inside`, according to `file`; none if it has no range for us.
std::optional<std::uint64_t> outside(const char* file, std::uint64_t inside) {
  if (geteuid() == 0) return inside;
  std::ifstream text(file);
  const passwd* entry = getpwuid(geteuid());
  const auto ranges = ch::parse_subids(text, entry != nullptr ? entry->pw_name : std::string(),
                                       static_cast<ch::Uid>(geteuid()));
  if (ranges.empty() || ranges[0].count < inside) return std::nullopt;
  return ranges[0].first + inside - 1;
}

/// Removes a tree that has several owners.
void remove_owned(const fs::path& tree) {
  if (geteuid() == 0)
    fs::remove_all(tree);
  else
    REQUIRE(run({"unshare", "--map-auto", "--map-root-user", "rm", "-rf", tree.string()}).status ==
            0);
}

}  // namespace

TEST_CASE("--subids keeps the owners, in the container and without", "[image][tool]") {
  const auto user = outside("/etc/subuid", 5);
  const auto group = outside("/etc/subgid", 7);
  SKIP_UNLESS(user && group && run({"sh", "-c", "command -v newuidmap newgidmap"}).status == 0,
              "no subordinate ids are configured for this user");
  const TempDir dir;
  const std::string archive = (dir / "a.tar").string();
  const std::string image = (dir / "image").string();
  test::write_file(archive, owned_tar().bytes());
  for (const char* how : {"--contain=always", "--contain=never"}) {
    const auto ran =
        run({ch_tar2dir(), "--subids", "--preserve", "--no-sync", how, archive, image});
    CAPTURE(how, ran.err);
    REQUIRE(ran.status == 0);  // the second time it replaces an image with files of others
    for (const char* name : {"usr/file", "usr/closed", "usr/link", "usr/fifo"}) {
      struct stat s {};
      CAPTURE(name);
      REQUIRE(lstat((image + "/" + name).c_str(), &s) == 0);
      CHECK(s.st_uid == *user);
      CHECK(s.st_gid == *group);
      if (std::string(name) == "usr/file") CHECK((s.st_mode & 07777) == 04755);
    }
    for (const char* name : {"", "usr", "usr/roots", "proc", "ch/unpacked.json"}) {
      struct stat s {};
      REQUIRE(lstat((image + "/" + name).c_str(), &s) == 0);
      CHECK(s.st_uid == geteuid());
      CHECK(s.st_gid == getegid());
    }
    CHECK(std::distance(fs::directory_iterator(dir.path()), {}) == 2);
  }
  if (geteuid() != 0) {
    const auto ran = run({ch_tar2dir(), archive, image});
    CHECK(ran.status == 1);
    CHECK(contains(ran.err, "or replace it as it was made (--subids)"));
    CHECK(fs::exists(image + "/usr/roots"));
  }
  remove_owned(image);
}

TEST_CASE("an owner beyond the ranges is an error that names it, and nothing stays",
          "[image][tool]") {
  if (geteuid() == 0) return;  // root has every id
  SKIP_UNLESS(outside("/etc/subuid", 5) && outside("/etc/subgid", 7),
              "no subordinate ids are configured for this user");
  const TempDir dir;
  test::write_file(dir / "a.tar", owned_tar().pax({{"uid", "4000000000"}}).file("f", "").bytes());
  const auto ran =
      run({ch_tar2dir(), "--subids", (dir / "a.tar").string(), (dir / "image").string()});
  CHECK(ran.status == 1);
  CHECK(contains(ran.err, "its owner 4000000000:0 is not one of your subordinate ids"));
  CHECK(contains(ran.err, "/etc/subuid"));
  CHECK(std::distance(fs::directory_iterator(dir.path()), {}) == 1);
}

TEST_CASE("--subids without configured ids says what to ask for", "[image][tool]") {
  if (geteuid() == 0) return;  // root needs no subordinate ids
  const TempDir dir;
  test::write_file(dir / "a.tar", owned_tar().bytes());
  const auto without = [&](const char* prepare) {
    return run({"unshare", "-U", "--map-current-user", "--keep-caps", "-m", "sh", "-c",
                std::string(prepare) + " || exit 77; exec \"$@\"", "sh", ch_tar2dir(), "--subids",
                (dir / "a.tar").string(), (dir / "image").string()});
  };
  const auto ran = without("mount --bind /dev/null /etc/subuid");
  SKIP_UNLESS(ran.status != 77 && !contains(ran.err, "unshare:"), "can't hide /etc/subuid here");
  CHECK(ran.status == 1);
  CHECK(contains(ran.err, "/etc/subuid: no subordinate ids for "));
  CHECK(contains(ran.err, "remedy: ask the administrator"));
  const auto refused = without("PATH=/bin:/nowhere; mount --bind /dev/null /usr/bin/newuidmap");
  CHECK(refused.status == 1);
  CHECK(contains(refused.err, "remedy: ask the administrator"));
  CHECK_FALSE(fs::exists(dir / "image"));
}
