// SPDX-License-Identifier: Apache-2.0
//
// Peers that are killed with -9: the first, one in the middle, the last, each at each of
// its system calls; and crowds in which one is killed at random. Whatever happens, nobody
// hangs, nothing is left, and nobody is in a container that is not the group's.

#include <random>

#include "tests/join/peers.hpp"
#include "tests/support/tracer.hpp"

using namespace test;

namespace {

/// What every process of a round must have done by its end: gone in with the others, or
/// said why not. Answers what was otherwise.
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

/// One group of three whose `place`-th member is killed at its system call `call`. Answers
/// what went wrong; "beyond" if there is no such call.
std::string kill_one(int place, std::size_t call) {
  Group g;
  const std::vector<std::string> join = {"--join-ct=3", "--join-timeout=1"};
  const auto start_others = [&](int count) {
    for (int i = 0; i < count; ++i) g.start(join, show_namespaces);
  };
  const auto wait_for_creator = [&] {
    const auto until = std::chrono::steady_clock::now() + 300ms;
    while (names_held(g.tag).empty() && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(1ms);
  };
  start_others(place);
  if (place > 0) wait_for_creator();
  RunOptions o = g.options;
  o.environment.push_back("CHARLIE_TEST=" + g.tag);
  std::vector<std::string> argv = {ch_run_path(), "--join-tag=" + g.tag};
  argv.insert(argv.end(), join.begin(), join.end());
  argv.insert(argv.end(), {g.image, "--"});
  argv.insert(argv.end(), show_namespaces.begin(), show_namespaces.end());
  // The others of a victim that comes first come while it runs.
  std::thread later([&] {
    if (place == 0) wait_for_creator();
    start_others(2 - place);
  });
  const auto traced = trace(argv, o, g.dir.path(), {call, 0});
  later.join();
  const std::string wrong = wrong_outcomes(g, {});
  return wrong.empty() && traced.status != 128 + SIGKILL ? "beyond" : wrong;
}

/// `job(i)` for each i in processes of their own, sixteen at a time; what they answer.
template <class Job>
std::vector<std::string> in_parallel(std::size_t count, Job job) {
  TempDir answers;
  std::size_t running = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (running == 16) {
      waitpid(-1, nullptr, 0);
      --running;
    }
    const pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
      const std::string name = answers / std::to_string(i);
      std::string answer = job(i);
      if (answer.empty()) answer = "good";
      const int fd = open(name.c_str(), O_WRONLY | O_CREAT, 0600);
      _exit(write(fd, answer.data(), answer.size()) < 0 ? 1 : 0);
    }
    ++running;
  }
  for (; running > 0; --running) waitpid(-1, nullptr, 0);
  std::vector<std::string> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(read_file(answers / std::to_string(i)));
  return all;
}

}  // namespace

TEST_CASE("killed at any of its system calls, a peer strands nobody and leaves nothing", "[tool]") {
  STATIC_TOOLS_ONLY();
  for (const int place : {0, 1, 2}) {  // the victim comes first, second or third of three
    const std::size_t most_calls = place == 0 ? 125 : 45;
    const auto outcomes =
        in_parallel(most_calls, [&](std::size_t call) { return kill_one(place, call); });
    int points = 0;
    for (std::size_t call = 0; call < most_calls; ++call) {
      INFO("place " << place << ", call " << call << ": " << outcomes[call]);
      CHECK((outcomes[call] == "good" || outcomes[call] == "beyond"));
      points += outcomes[call] == "good" ? 1 : 0;
    }
    CHECK(outcomes.back() == "beyond");
    CHECK(points > 20);  // fewer where host files are missing
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
      g.start({"--join-ct=64", when < count * 2 ? "--join-timeout=4" : "--join-timeout=30"},
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
