// SPDX-License-Identifier: Apache-2.0
//
// Peers that are killed with SIGKILL: the first, one in the middle, the last, each at each of
// its system calls; and large groups in which one is killed at random. Whatever happens, no peer
// hangs, nothing is left, and no peer is in a container other than the group's.

#include <atomic>
#include <random>

#include "tests/join/peers.hpp"
#include "tests/support/tracer.hpp"

using namespace test;

namespace {

/// Checks what every process of a round must have done by its end: joined the others, or
/// reported why not. Returns what was wrong.
std::string wrong_outcomes(Group& g, const std::set<std::size_t>& killed) {
  std::string wrong;
  std::set<std::string> containers;
  for (std::size_t i = 0; i < g.peers.size(); ++i) {
    const Ran& ran = g.peers[i]->wait();
    if (g.peers[i]->hung()) wrong += "peer " + std::to_string(i) + " hung\n";
    if (killed.contains(i)) continue;
    if (ran.status == 0) {
      containers.insert(ran.out);
    } else if (ran.status != 31 || !ran.out.empty() ||
               ran.err.rfind("ch-run: error: can't ", 0) != 0) {
      wrong += "peer " + std::to_string(i) + " ended with " + std::to_string(ran.status) + ": " +
               ran.err + "\n";
    }
  }
  if (containers.size() > 1) wrong += "more than one container\n";
  return wrong + g.left_behind();
}

}  // namespace

#ifdef CHARLIE_HAVE_TRACER

namespace {

/// Starts a tool that is killed when it makes its `call`-th system call; false: it made fewer.
/// In a separate thread, which waits for its own children only, and not for the peers.
bool killed_at(const std::vector<std::string>& argv, const RunOptions& options, std::size_t call) {
  Traced traced;
  std::thread([&] {
    traced = trace_tool(argv, options.environment, call, {Act::kill_before, 0});
  }).join();
  return traced.status == 128 + SIGKILL;
}

/// One group of three whose `place`-th member is killed at its system call `call`. Returns
/// what went wrong; "beyond" if there is no such call.
std::string kill_one(int place, std::size_t call) {
  Group g;
  // If the victim dies before it has met the others, they wait until the timeout.
  const std::vector<std::string> join = {"--join-ct=3", "--join-timeout=1"};
  const auto start_others = [&](int count) {
    for (int i = 0; i < count; ++i) g.start(join, show_namespaces);
  };
  start_others(place);
  if (place > 0 && !g.wait_for_names()) return "no peer took the group's name";
  RunOptions o = g.options;
  o.environment.push_back("CHARLIE_TEST=" + g.tag);
  std::vector<std::string> argv = {ch_run_path(), "--join-tag=" + g.tag};
  argv.insert(argv.end(), join.begin(), join.end());
  argv.insert(argv.end(), {g.image, "--"});
  argv.insert(argv.end(), show_namespaces.begin(), show_namespaces.end());
  // If the victim is first, the others start when it has the name, or is dead.
  std::atomic<bool> dead = false;
  std::thread later([&] {
    if (place == 0) (void)eventually([&] { return dead || !names_held(g.tag).empty(); });
    start_others(2 - place);
  });
  const bool killed = killed_at(argv, o, call);
  dead = true;
  later.join();
  const std::string wrong = wrong_outcomes(g, {});
  return wrong.empty() && !killed ? "beyond" : wrong;
}

/// `job(i)` for each i from `first` in `count` separate processes; returns their results.
template <class Job>
std::vector<std::string> in_parallel(std::size_t first, std::size_t count, Job job) {
  TempDir answers;
  std::vector<pid_t> workers;
  for (std::size_t i = first; i < first + count; ++i) {
    workers.push_back(fork());
    REQUIRE(workers.back() >= 0);
    if (workers.back() != 0) continue;
    std::string answer = "the test itself failed";
    try {
      answer = job(i);
    } catch (...) {  // not into the copy of the test that this process is
    }
    if (answer.empty()) answer = "good";
    const int fd = open((answers / std::to_string(i)).c_str(), O_WRONLY | O_CREAT, 0600);
    _exit(write(fd, answer.data(), answer.size()) < 0 ? 1 : 0);
  }
  for (const pid_t worker : workers) waitpid(worker, nullptr, 0);
  std::vector<std::string> all;
  for (std::size_t i = first; i < first + count; ++i)
    all.push_back(read_file(answers / std::to_string(i)));
  return all;
}

}  // namespace

namespace {

/// Three of a living tag, of which the `place`-th is killed at its system call `call`. The
/// others must all get into one container. Otherwise like kill_one.
std::string kill_living(int place, std::size_t call) {
  Group g;
  const auto start_others = [&](int count) {
    for (int i = 0; i < count; ++i) g.start({"--join-ct=0"}, say_and_stay);
  };
  start_others(place);
  for (auto& peer : g.peers)
    if (!peer->wait_for_output()) return "the first are not in";
  RunOptions o = g.options;
  o.environment.push_back("CHARLIE_TEST=" + g.tag);
  std::vector<std::string> argv = {ch_run_path(), "--join-tag=" + g.tag, "--join-ct=0", g.image,
                                   "--"};
  argv.insert(argv.end(), show_namespaces.begin(), show_namespaces.end());
  std::atomic<bool> dead = false;
  std::thread later([&] {
    if (place == 0) (void)eventually([&] { return dead || !names_held(g.tag).empty(); });
    start_others(2 - place);
  });
  const bool killed = killed_at(argv, o, call);
  dead = true;
  later.join();
  const std::string wrong = wrong_in_living(g);
  return wrong.empty() && !killed ? "beyond" : wrong;
}

}  // namespace

TEST_CASE("killed at any of its system calls, a member of a living tag keeps no other out",
          "[tool]") {
  STATIC_TOOLS_ONLY();
  for (const int place : {0, 1, 2}) {
    constexpr std::size_t together = 16;
    int points = 0;
    bool beyond = false;
    for (std::size_t first = 0; !beyond; first += together) {
      REQUIRE(first < 1000);
      const auto outcomes =
          in_parallel(first, together, [&](std::size_t call) { return kill_living(place, call); });
      beyond = true;
      for (std::size_t i = 0; i < together; ++i) {
        INFO("place " << place << ", call " << first + i << ": " << outcomes[i]);
        CHECK((outcomes[i] == "good" || outcomes[i] == "beyond"));
        points += outcomes[i] == "good" ? 1 : 0;
        beyond = beyond && outcomes[i] == "beyond";
      }
    }
    CHECK(points > 15);
    std::printf("living tag, place %d: killed at %d calls\n", place, points);
  }
}

TEST_CASE("killed at any of its system calls, a peer strands no other and leaves nothing",
          "[tool]") {
  STATIC_TOOLS_ONLY();
  for (const int place : {0, 1, 2}) {  // the victim comes first, second or third of three
    // As long as there are calls: their number depends on who waits for whom, and how long.
    constexpr std::size_t together = 16;
    int points = 0;
    bool beyond = false;
    for (std::size_t first = 0; !beyond; first += together) {
      REQUIRE(first < 1000);
      const auto outcomes =
          in_parallel(first, together, [&](std::size_t call) { return kill_one(place, call); });
      beyond = true;
      for (std::size_t i = 0; i < together; ++i) {
        INFO("place " << place << ", call " << first + i << ": " << outcomes[i]);
        CHECK((outcomes[i] == "good" || outcomes[i] == "beyond"));
        points += outcomes[i] == "good" ? 1 : 0;
        beyond = beyond && outcomes[i] == "beyond";
      }
    }
    CHECK(points > 15);  // fewer where host files are missing
    std::printf("place %d: killed at %d calls\n", place, points);
  }
}

#endif

TEST_CASE("64 peers at once, again and again, one of them killed in every second round", "[tool]") {
  const char* rounds_text = std::getenv("CHARLIE_JOIN_ROUNDS");
  const int rounds = rounds_text != nullptr ? std::atoi(rounds_text) : 8;
  constexpr int count = 64;
  std::mt19937 random(static_cast<unsigned>(getpid()));
  int whole = 0;
  int none = 0;
  for (int round = 0; round < rounds; ++round) {
    Group g;
    std::set<std::size_t> killed;
    // Killed when so many have been started, or a little after the last.
    const std::size_t when = round % 2 == 1 ? random() % (count + count / 4) : count * 2;
    for (int rank = 0; rank < count; ++rank) {
      g.start({"--join-ct=64", when < count * 2 ? "--join-timeout=4" : "--join-timeout=100"},
              show_namespaces, rank);
      if (static_cast<std::size_t>(rank) == when) {
        killed.insert(random() % (when + 1));
        g.peers[*killed.begin()]->kill_now();
      }
    }
    if (when >= count && when < count * 2) {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
      killed.insert(random() % count);
      g.peers[*killed.begin()]->kill_now();
    }
    const std::string wrong = wrong_outcomes(g, killed);
    INFO("round " << round << ", a kill after " << when);
    CHECK(wrong == "");
    std::size_t in = 0;
    for (auto& peer : g.peers) in += peer->wait().status == 0 ? 1 : 0;
    whole += in == count ? 1 : 0;
    none += in == 0 ? 1 : 0;
    if (killed.empty()) CHECK(in == count);
  }
  std::printf("%d rounds of %d: %d complete, %d that nobody got in\n", rounds, count, whole, none);
}
