// SPDX-License-Identifier: Apache-2.0
//
// A peer group without ch-run: two threads of one program each start a child, and the two
// children meet.

#include <thread>

#include "ch/launch.hpp"
#include "ch/presets.hpp"
#include "tests/support/files.hpp"

using namespace ch;

namespace {

Result<ExitStatus> run_peer(const test::TempDir& dir, int rank) {
  kernel::Linux k;
  ArenaOf<std::size_t{512} * 1024> arena;
  const std::string image = dir / "image";
  const std::string share = dir / "share";
  const std::string tag = dir.path().filename();
  const std::string script = "readlink /proc/self/ns/mnt > /mnt/0/" + std::to_string(rank);
  const UserBind binds[] = {{HostPath(share.c_str()), ImagePath("/mnt/0"), Access::read_write}};
  Container<presets::Unprivileged, presets::HostIntegratedMounts, ChosenIds, PeerGroup> container;
  container.ids = {static_cast<Uid>(geteuid()), static_cast<Gid>(getegid())};
  container.mounts.get<ImageRoot<>>() = {HostPath(image.c_str()), Access::read_only};
  container.mounts.get<Accounts>() = {"alice", "users", "/"};
  container.mounts.get<UserBinds>() = {binds};
  container.join = {tag.c_str(), 2, rank, 100};
  const char* argv[] = {"sh", "-c", script.c_str(), nullptr};
  const char* envp[] = {nullptr};
  return run(k, container, {"sh", argv, envp}, arena);
}

}  // namespace

TEST_CASE("two threads of a program start two peers of one container", "[userns]") {
  const test::TempDir dir;
  test::make_image(dir / "image");
  test::fs::create_directory(dir / "share");
  Result<ExitStatus> other;
  std::thread thread([&] { other = run_peer(dir, 1); });
  const auto own = run_peer(dir, 0);
  thread.join();
  REQUIRE(own);
  REQUIRE(other);
  CHECK(*own == ExitStatus{});
  CHECK(*other == ExitStatus{});
  const std::string first = test::read_file(dir / "share/0");
  CHECK(first.rfind("mnt:[", 0) == 0);
  CHECK(first == test::read_file(dir / "share/1"));
}

TEST_CASE("a peer whose group does not arrive gets an error in time, and its parent survives",
          "[userns]") {
  const test::TempDir dir;
  test::make_image(dir / "image");
  test::fs::create_directory(dir / "share");
  kernel::Linux k;
  ArenaOf<std::size_t{512} * 1024> arena;
  const std::string image = dir / "image";
  const std::string tag = dir.path().filename();
  Container<presets::Unprivileged, presets::HostIntegratedMounts, ChosenIds, PeerGroup> container;
  container.ids = {static_cast<Uid>(geteuid()), static_cast<Gid>(getegid())};
  container.mounts.get<ImageRoot<>>() = {HostPath(image.c_str()), Access::read_only};
  container.join = {tag.c_str(), 2, 0, 1};
  const char* argv[] = {"true", nullptr};
  const char* envp[] = {nullptr};
  const auto ended = run(k, container, {"true", argv, envp}, arena);
  REQUIRE_FALSE(ended);
  CHECK(ended.error().code == Errno::etimedout);
}

TEST_CASE("two threads execute one plan at the same time, and meet in its container", "[userns]") {
  const test::TempDir dir;
  test::make_image(dir / "image");
  test::fs::create_directory(dir / "share");
  const std::string image = dir / "image";
  const std::string share = dir / "share";
  const std::string tag = dir.path().filename();
  const UserBind binds[] = {{HostPath(share.c_str()), ImagePath("/mnt/0"), Access::read_write}};
  Container<presets::Unprivileged, presets::HostIntegratedMounts, ChosenIds, PeerGroup> container;
  container.ids = {static_cast<Uid>(geteuid()), static_cast<Gid>(getegid())};
  // Writable, so that each execution also notes what it makes there.
  container.mounts.get<ImageRoot<>>() = {HostPath(image.c_str()), Access::read_write};
  container.mounts.get<UserBinds>() = {binds};
  container.join = {tag.c_str(), 2, no_rank, 100};
  const char* argv[] = {"sh", "-c", "readlink /proc/self/ns/mnt > $(mktemp /mnt/0/XXXXXX)",
                        nullptr};
  const char* envp[] = {nullptr};
  kernel::Linux k;
  ArenaOf<std::size_t{256} * 1024> planned;
  const Result<Plan> plan = container.plan(probe(k), {"sh", argv, envp}, planned);
  REQUIRE(plan);
  const auto start = [&plan = *plan]() -> Result<ExitStatus> {
    kernel::Linux own;
    ArenaOf<std::size_t{256} * 1024> arena;
    const Result<StartedProcess> child = spawn_plan(own, plan, arena);
    if (!child) return failure(child.error());
    return wait(own, *child);
  };
  Result<ExitStatus> other;
  std::thread thread([&] { other = start(); });
  const Result<ExitStatus> own = start();
  thread.join();
  REQUIRE(own);
  REQUIRE(other);
  CHECK(*own == ExitStatus{});
  CHECK(*other == ExitStatus{});
  std::vector<std::string> seen;
  for (const auto& file : test::fs::directory_iterator(share))
    seen.push_back(test::read_file(file.path()));
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].rfind("mnt:[", 0) == 0);
  CHECK(seen[0] == seen[1]);
}
