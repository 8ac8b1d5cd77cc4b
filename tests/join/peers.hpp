// SPDX-License-Identifier: Apache-2.0
//
// Test support: many ch-run at once, each with its own output, ended or waited for one by
// one; and what a group could leave behind.
#pragma once

#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <set>
#include <thread>

#include "tests/support/ch_run.hpp"

#ifndef CHARLIE_JOIN_PROBE
#define CHARLIE_JOIN_PROBE "join_probe"
#endif

namespace test {

using namespace std::chrono_literals;

/// What has not happened by then never will, even on a busy machine.
inline constexpr std::chrono::seconds patience = 120s;

/// Waits until `holds()`. False: it never does.
template <class Condition>
bool eventually(Condition holds) {
  const auto until = std::chrono::steady_clock::now() + patience;
  for (auto nap = 1ms; !holds(); nap = std::min(2 * nap, 16ms)) {  // many poll at the same time
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(nap);
  }
  return true;
}

/// A started program, whose output goes to files.
class Peer {
 public:
  Peer(const std::vector<std::string>& argv, const RunOptions& options, std::string output)
      : output_(std::move(output)) {
    // Emptied before the fork, so that an earlier program's output isn't taken for this one's.
    const int out =
        open((output_ + ".out").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const int err =
        open((output_ + ".err").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ != 0) {
      close(out);
      close(err);
      return;
    }
    dup2(open("/dev/null", O_RDONLY), 0);
    dup2(out, 1);
    dup2(err, 2);
    std::vector<char*> words;
    for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    std::vector<char*> variables;
    for (const auto& v : options.environment) variables.push_back(const_cast<char*>(v.c_str()));
    variables.push_back(nullptr);
    if (options.in_child) options.in_child();
    execve(words[0], words.data(), variables.data());
    _exit(127);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() {
    if (!ended_) {
      kill(pid_, SIGKILL);
      (void)wait();
    }
  }

  [[nodiscard]] pid_t pid() const { return pid_; }
  void kill_now() const { kill(pid_, SIGKILL); }
  [[nodiscard]] bool ended() {
    int status = 0;
    if (!ended_ && waitpid(pid_, &status, WNOHANG) == pid_) note(status);
    return ended_;
  }
  /// Waits for the end; a program that does not end is killed and counts as hanging.
  const Ran& wait() {
    hung_ = !eventually([&] { return ended(); });
    if (hung_) kill(pid_, SIGKILL);
    int status = 0;
    if (!ended_ && waitpid(pid_, &status, 0) == pid_) note(status);
    ran_.out = read_file(output_ + ".out");
    ran_.err = read_file(output_ + ".err");
    return ran_;
  }
  [[nodiscard]] bool hung() const { return hung_; }
  /// Waits until the program has printed so many lines.
  [[nodiscard]] bool wait_for_output(int lines = 1) const {
    return eventually([&] {
      const std::string out = out_so_far();
      return std::count(out.begin(), out.end(), '\n') >= lines;
    });
  }
  [[nodiscard]] std::string out_so_far() const { return read_file(output_ + ".out"); }

 private:
  void note(int status) {
    ended_ = true;
    ran_.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  std::string output_;
  pid_t pid_ = -1;
  bool ended_ = false;
  bool hung_ = false;
  Ran ran_;
};

/// The names that our user's groups hold at this moment, as /proc/net/unix lists them.
inline std::multiset<std::string> names_held(const std::string& tag) {
  std::multiset<std::string> names;
  std::ifstream list("/proc/net/unix");
  for (std::string line; std::getline(list, line);)
    if (const auto at = line.find("@charlie/"); at != std::string::npos && contains(line, tag))
      names.insert(line.substr(at));
  return names;
}

/// A group with its own tag, and its peers.
struct Group : ChRun {
  std::string tag = "test-" + dir.path().filename().string();
  std::vector<std::unique_ptr<Peer>> peers;

  /// Starts one with these options before the image, and the command.
  Peer& start(std::vector<std::string> before, std::vector<std::string> command, int rank = -1) {
    RunOptions o = options;
    o.environment.push_back("CHARLIE_TEST=" + tag);
    if (rank >= 0) o.environment.push_back("SLURM_LOCALID=" + std::to_string(rank));
    // Enough time for a group that should succeed, even on a busy machine.
    std::vector<std::string> argv = {ch_run_path(), "--join-tag=" + tag, "--join-timeout=100"};
    argv.insert(argv.end(), before.begin(), before.end());
    argv.insert(argv.end(), {image, "--"});
    argv.insert(argv.end(), command.begin(), command.end());
    peers.push_back(std::make_unique<Peer>(argv, o, dir / ("peer" + std::to_string(peers.size()))));
    return *peers.back();
  }
  /// Starts `count` ranks of a group of `expected`.
  void start_ranks(int count, int expected, const std::vector<std::string>& command,
                   const std::vector<std::string>& more = {}) {
    for (int rank = 0; rank < count; ++rank) {
      std::vector<std::string> before = {"--join-ct=" + std::to_string(expected)};
      before.insert(before.end(), more.begin(), more.end());
      start(before, command, rank);
    }
  }
  /// Waits until the group has so many names: its creator's, and one more for each peer
  /// that has connected to it.
  [[nodiscard]] bool wait_for_names(std::size_t count = 1) const {
    return eventually([&] { return names_held(tag).size() >= count; });
  }
  /// Processes that carry our mark: peers, and whatever they may have left.
  [[nodiscard]] int processes() const {
    int count = 0;
    for (const auto& e : fs::directory_iterator("/proc"))
      if (contains(read_file(e.path() / "environ"), "CHARLIE_TEST=" + tag)) ++count;
    return count;
  }
  /// What remains of the group after all its processes have been waited for: a
  /// killed shell's own child, or a descriptor in flight, may outlive it by a moment.
  [[nodiscard]] std::string left_behind() const {
    std::string left;
    (void)eventually([&] { return (left = found_now()).empty(); });
    return left;
  }
  void check_nothing_left() const { CHECK(left_behind() == ""); }

 private:
  [[nodiscard]] std::string found_now() const {
    std::string left;
    for (const auto& name : names_held(tag)) left += "name " + name + "\n";
    if (processes() > 0) left += "processes\n";
    for (const char* place : {"/dev/shm", "/tmp", "/var/tmp", "/run"}) {
      std::error_code ignored;
      for (const auto& e : fs::directory_iterator(place, ignored)) {
        const auto name = e.path().filename().string();
        // Other programs come and go; ours would be named for its group.
        if (contains(name, tag)) left += "file " + e.path().string() + "\n";
      }
    }
    return left;
  }
};

/// Prints the container's user and mount namespace.
inline const std::vector<std::string> show_namespaces = {
    "sh", "-c", "readlink /proc/self/ns/user; readlink /proc/self/ns/mnt"};

/// Prints the container's mount namespace, and stays in it.
inline const std::vector<std::string> say_and_stay = {
    "sh", "-c", "readlink /proc/self/ns/mnt; exec sleep 1000"};

/// What is wrong with the peers of a living tag, all of which should stay: not in, or not in
/// one container. Ends them.
inline std::string wrong_in_living(Group& g) {
  std::string wrong;
  std::set<std::string> containers;
  for (std::size_t i = 0; i < g.peers.size(); ++i) {
    Peer& peer = *g.peers[i];
    const bool in = eventually([&] { return peer.ended() || !peer.out_so_far().empty(); }) &&
                    !peer.ended() && peer.wait_for_output();
    containers.insert(peer.out_so_far());
    if (!in)
      wrong += "peer " + std::to_string(i) +
               (peer.ended() ? " ended: " + peer.wait().err : " hung") + "\n";
  }
  if (containers.size() > 1) wrong += "more than one container\n";
  for (auto& peer : g.peers) {
    peer->kill_now();
    (void)peer->wait();
  }
  return wrong + g.left_behind();
}

/// Is the process in a user namespace other than ours, and which?
inline std::string user_namespace(pid_t pid) {
  std::error_code none;
  return fs::read_symlink("/proc/" + std::to_string(pid) + "/ns/user", none).string();
}

}  // namespace test
