// SPDX-License-Identifier: Apache-2.0
//
// What sharing a container is for: memory of other ranks, debuggers, later arrivals. And
// that without it the kernel refuses; otherwise the tests would prove nothing.

#include <sstream>

#include "tests/join/peers.hpp"

using namespace test;

namespace {

/// A group whose image contains the probe.
struct Probed : Group {
  Probed() {
    fs::copy_file(tool("JOIN_PROBE", CHARLIE_JOIN_PROBE), image + "/bin/probe");
    fs::permissions(image + "/bin/probe", fs::perms(0755));
  }
  /// "PID ADDRESS" of a holder that has started.
  static std::vector<std::string> held(const Peer& holder) {
    REQUIRE(holder.wait_for_output());
    std::istringstream line(holder.out_so_far());
    std::string pid;
    std::string address;
    line >> pid >> address;
    return {pid, address};
  }
};

const std::string greeting = "hello from another address space\n";

}  // namespace

TEST_CASE("peers read one another's memory; processes of separate containers may not", "[tool]") {
  Probed g;
  Peer& holder = g.start({"--join-ct=2"}, {"probe", "hold"});
  Peer& other = g.start({"--join-ct=2"}, {"probe", "hold"});
  const auto at = Probed::held(holder);
  REQUIRE(other.wait_for_output());              // until then it may not have entered
  CHECK(at[0] == std::to_string(holder.pid()));  // no process in between
  const Ran apart = g.ch_run({g.image, "--", "probe", "read", at[0], at[1]});
  CHECK(apart.out == "Operation not permitted\n");
  const Ran joined = g.ch_run(
      {"--join-pid=" + std::to_string(other.pid()), g.image, "--", "probe", "read", at[0], at[1]});
  INFO(joined.err);
  CHECK(joined.out == greeting);
}

TEST_CASE("a debugger started with --join-pid attaches to a peer", "[tool]") {
  const std::string scope = read_file("/proc/sys/kernel/yama/ptrace_scope");
  SKIP_UNLESS(scope.empty() || scope[0] == '0', "Yama restricts ptrace on this host");
  Probed g;
  Peer& a = g.start({"--join-ct=2"}, {"probe", "hold"});
  Peer& b = g.start({"--join-ct=2"}, {"probe", "hold"});
  for (const Peer* peer : {&a, &b}) {
    const auto at = Probed::held(*peer);
    const Ran traced =
        g.ch_run({"--join-pid=" + at[0], g.image, "--", "probe", "trace", at[0], at[1]});
    INFO(traced.err);
    CHECK(traced.out == "attached, reads hello\n");
    const Ran apart = g.ch_run({g.image, "--", "probe", "trace", at[0], at[1]});
    CHECK(apart.out == "Operation not permitted\n");
  }
}

TEST_CASE("--join-pid enters any container of ours, with all its namespaces", "[tool]") {
  Group g;
  const std::string look = "for n in user mnt pid uts ipc; do readlink /proc/self/ns/$n; done";
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{}, {"--hostname=box"}, {"--namespaces=pid,ipc"}}) {
    g.peers.clear();
    std::vector<std::string> argv = {ch_run_path()};
    argv.insert(argv.end(), more.begin(), more.end());
    argv.insert(argv.end(), {g.image, "--", "sh", "-c", look + "; exec sleep 1000"});
    RunOptions o = g.options;
    Peer target(argv, o, g.dir / "target");
    REQUIRE(target.wait_for_output(5));
    pid_t inside = target.pid();
    // With a pid namespace: the command behind the supervisor and the init, which is hidden.
    for (int i = 0; i < 2 && contains(more.empty() ? "" : more[0], "pid"); ++i) {
      const auto children =
          "/proc/" + std::to_string(inside) + "/task/" + std::to_string(inside) + "/children";
      inside = std::stoi(read_file(children));
    }
    const Ran ran = g.ch_run({"--join-pid=" + std::to_string(inside), g.image, "--", "sh", "-c",
                              look + "; pwd; ls /boot"});
    INFO(ran.err);
    CHECK(ran.out == target.out_so_far() + "/\n");
  }
}

TEST_CASE("--join-pid refuses a process that is not in a container of ours", "[tool]") {
  Group g;
  const auto refusal = [&](const std::string& pid) {
    const Ran ran = g.ch_run({"--join-pid=" + pid, g.image, "--", "true"});
    INFO(ran.err);
    CHECK(ran.status == 31);
    CHECK(ran.out.empty());
    return ran.err;
  };
  Peer ended({ch_run_path(), g.image, "--", "true"}, g.options, g.dir / "ended");
  (void)ended.wait();
  CHECK(contains(refusal(std::to_string(ended.pid())), "there is no process with this number"));
  CHECK(contains(refusal(std::to_string(getpid())), "it is not in a container"));
  if (geteuid() != 0) CHECK(contains(refusal("1"), "is it another user's?"));
  for (const std::string bad : {"0", "-1", "x", "", "99999999999"})
    CHECK(g.ch_run({"--join-pid=" + bad, g.image, "--", "true"}).status == 64);
  CHECK(g.ch_run({"--join", "--join-pid=1", g.image, "--", "true"}).status == 64);
}

TEST_CASE("--join-ct=0 joins the tag while any process holds it, then makes a new container",
          "[tool]") {
  Group g;
  Peer& first = g.start({"--join-ct=0"}, say_and_stay);
  REQUIRE(first.wait_for_output());
  Peer& second = g.start({"--join-ct=0"}, say_and_stay);
  REQUIRE(second.wait_for_output());
  const std::string container = first.out_so_far();
  CHECK(second.out_so_far() == container);
  CHECK(names_held(g.tag).size() == 2);
  // Held open, since another namespace may reuse the number of one that is gone.
  const int held = open(("/proc/" + std::to_string(first.pid()) + "/ns/mnt").c_str(), O_RDONLY);
  REQUIRE(held >= 0);

  first.kill_now();  // its creator need not survive
  (void)first.wait();
  Peer& third = g.start({"--join-ct=0"}, say_and_stay);
  REQUIRE(third.wait_for_output());
  CHECK(third.out_so_far() == container);

  for (Peer* peer : {&second, &third}) {
    peer->kill_now();
    (void)peer->wait();
  }
  Peer& anew = g.start({"--join-ct=0"}, {"readlink", "/proc/self/ns/mnt"});
  CHECK(anew.wait().status == 0);
  CHECK(anew.wait().out != container);
  close(held);
  g.check_nothing_left();
}

TEST_CASE("many that start at once with --join-ct=0 make one container", "[tool]") {
  Group g;
  for (int i = 0; i < 16; ++i)
    g.start({"--join-ct=0"}, {"sh", "-c", "readlink /proc/self/ns/mnt; exec sleep 1000"});
  std::set<std::string> seen;
  for (const auto& peer : g.peers) {
    CHECK(peer->wait_for_output());
    seen.insert(peer->out_so_far());
  }
  CHECK(seen.size() == 1);
  g.peers.clear();  // which ends them
  g.check_nothing_left();
}
