// SPDX-License-Identifier: Apache-2.0
//
// A living tag, and names that look like its members': other sockets may have any name,
// be listed in any order and end in whatever the group's names end in.

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "ch/presets.hpp"
#include "tests/join/peers.hpp"
#include "tests/support/filter_calls.hpp"

using namespace test;

namespace {

/// A socket with an abstract name, held for the length of a block.
class NamedSocket {
 public:
  explicit NamedSocket(const std::string& name) : fd_(socket(AF_UNIX, SOCK_SEQPACKET, 0)) {
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    REQUIRE(name.size() < sizeof a.sun_path);
    name.copy(a.sun_path + 1, name.size());
    REQUIRE(bind(fd_, reinterpret_cast<sockaddr*>(&a),
                 static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())) == 0);
  }
  NamedSocket(const NamedSocket&) = delete;
  NamedSocket& operator=(const NamedSocket&) = delete;
  ~NamedSocket() { close(fd_); }

 private:
  int fd_ = -1;
};

}  // namespace

TEST_CASE("a name that contains a member's name leads no process into another container",
          "[tool]") {
  Group other;
  other.tag = "o" + std::to_string(getpid());  // short: the forged name has to fit
  Peer& victim = other.start({"--join-ct=0"}, say_and_stay);
  REQUIRE(victim.wait_for_output());
  const std::string pid = std::to_string(victim.pid());
  std::error_code none;
  const std::string held = fs::read_symlink("/proc/" + pid + "/fd/200", none).string();
  REQUIRE(held.rfind("socket:[", 0) == 0);
  const std::string inode = held.substr(8, held.size() - 9);
  // If processes may not be traced (Yama, a filter), the kernel is asked in another way.
  for (const unsigned refusal : {0, EPERM, ENOSYS})
    for (const std::string before : {"x ", "x\n0: 2 0 0 5 1 "}) {
      Group g;
      g.tag = "t" + std::to_string(getpid());
      if (refusal != 0) g.options.in_child = [=] { filter_calls({SYS_pidfd_getfd}, refusal); };
      const NamedSocket forged(before + inode + " @charlie/tag/" + std::to_string(geteuid()) + "/" +
                               pid + "/" + g.tag);
      Peer& peer = g.start({"--join-ct=0"}, say_and_stay);
      REQUIRE(peer.wait_for_output());
      INFO("before the name: " << before << ", pidfd_getfd: " << refusal);
      CHECK(peer.out_so_far() != victim.out_so_far());
      Peer& second = g.start({"--join-ct=0"}, say_and_stay);  // and its own are still found
      REQUIRE(second.wait_for_output());
      CHECK(second.out_so_far() == peer.out_so_far());
    }
}

TEST_CASE("if members can't be told from strangers, a second one is refused", "[tool]") {
  Group g;
  Peer& first = g.start({"--join-ct=0"}, say_and_stay);
  REQUIRE(first.wait_for_output());
  g.options.in_child = [] { filter_calls({SYS_pidfd_getfd}, EPERM, true); };
  Peer& second = g.start({"--join-ct=0"}, say_and_stay);
  const Ran& ran = second.wait();
  INFO(ran.err);
  CHECK(ran.status == 31);
  CHECK(contains(ran.err, "process " + std::to_string(first.pid()) + " seems to hold the tag"));
  CHECK(contains(ran.err, "remedy: have an administrator load the module unix_diag"));
  CHECK(first.ended() == false);
}

TEST_CASE("a process that joins a living tag with another image or mounts is warned", "[tool]") {
  Group g;
  const std::string image = g.dir / "other";
  make_image(image);
  Peer& first = g.start({"--join-ct=0"}, say_and_stay);
  REQUIRE(first.wait_for_output());
  CHECK(read_file(g.dir / "peer0.err").empty());
  const Ran same = g.ch_run({"--join-tag=" + g.tag, "--join-ct=0", g.image, "--", "true"});
  CHECK(same.status == 0);
  CHECK(same.err.empty());
  const Ran ran = g.ch_run({"--join-tag=" + g.tag, "--join-ct=0", image, "--", "true"});
  CHECK(ran.status == 0);
  CHECK(contains(ran.err, "differs from what this one was asked for: image (" + g.image +
                              " instead of " + image + ")"));
  // A joiner passes on what the container is made of, not what it asked for itself.
  Peer& joiner = g.start({"--join-ct=0", "--private-tmp"}, say_and_stay);
  REQUIRE(joiner.wait_for_output());
  CHECK(contains(read_file(g.dir / "peer1.err"), "asked for: mounts"));
  first.kill_now();
  (void)first.wait();
  const Ran later = g.ch_run({"--join-tag=" + g.tag, "--join-ct=0", g.image, "--", "true"});
  CHECK(later.status == 0);
  CHECK(later.err.empty());
}

TEST_CASE("long names of a launcher that differ only at the beginning are two groups", "[tool]") {
  Group g;
  const std::string end(80, 'x');
  std::set<std::string> containers;
  std::vector<std::unique_ptr<Peer>> peers;
  for (const char* begin : {"a", "b"}) {
    RunOptions o = g.options;
    o.environment.push_back("PMIX_NAMESPACE=" + std::string(begin) + end);
    peers.push_back(std::make_unique<Peer>(
        std::vector<std::string>{ch_run_path(), "--join-ct=0", g.image, "--", "sh", "-c",
                                 "readlink /proc/self/ns/mnt; exec sleep 1000"},
        o, g.dir / begin));
    REQUIRE(peers.back()->wait_for_output());
    containers.insert(peers.back()->out_so_far());
  }
  CHECK(containers.size() == 2);
}

TEST_CASE("a tag that is too long, empty or not visible is refused, never truncated", "[pure]") {
  const auto refused = [](const char* tag) {
    using namespace ch;
    ArenaOf<65536> arena;
    Container<NamespaceSet<ns::user, ns::mount>, Mounts<ImageRoot<>>, SameIds, LivingTag> box;
    box.mounts.get<ImageRoot<>>() = {HostPath("/image"), Access::read_only};
    box.join = {tag, 30};
    const char* argv[] = {"true", nullptr};
    const auto plan = box.plan({}, Program{"true", argv, argv + 1, {}}, arena);
    return !plan && plan.error().code == Errno::einval;
  };
  CHECK_FALSE(refused(std::string(64, 'x').c_str()));
  CHECK(refused(std::string(65, 'x').c_str()));
  CHECK(refused(""));
  CHECK(refused("a b"));
  CHECK(refused("a\n"));
}
