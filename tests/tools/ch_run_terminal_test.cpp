// SPDX-License-Identifier: Apache-2.0
//
// ch-run at a terminal, under a shell: what the keys do to a command, they do to a command
// in a container, be it by itself or under the init of a pid namespace.

#include <poll.h>
#include <pty.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/support/ch_run.hpp"

namespace {

using test::contains;

/// A terminal with one job in the foreground, as a shell would start it. Says "STOPPED" when
/// the job is, and then continues it; ends with the job's status.
class Terminal {
 public:
  explicit Terminal(const std::vector<std::string>& argv) {
    pid_ = forkpty(&fd_, nullptr, nullptr, nullptr);
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) watch_job(argv);
  }
  ~Terminal() {
    kill(pid_, SIGKILL);
    if (!ended_) waitpid(pid_, nullptr, 0);
    close(fd_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void type(const std::string& keys) const {
    REQUIRE(write(fd_, keys.data(), keys.size()) == static_cast<ssize_t>(keys.size()));
  }
  /// Reads on until `text` has appeared. False: it never did.
  bool says(const std::string& text) {
    while (!contains(all_, text)) {
      pollfd waiting{fd_, POLLIN, 0};
      char bytes[4096];
      if (poll(&waiting, 1, 20'000) != 1) return false;
      const ssize_t n = read(fd_, bytes, sizeof bytes);
      if (n <= 0) return false;
      all_.append(bytes, static_cast<std::size_t>(n));
    }
    return true;
  }
  int ends() {
    int status = 0;
    REQUIRE(waitpid(pid_, &status, 0) == pid_);
    ended_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  [[nodiscard]] const std::string& all() const { return all_; }

 private:
  [[noreturn]] static void watch_job(const std::vector<std::string>& argv) {
    signal(SIGTTOU, SIG_IGN);
    const pid_t job = fork();
    if (job == 0) {
      setpgid(0, 0);
      tcsetpgrp(0, getpid());
      signal(SIGTTOU, SIG_DFL);
      std::vector<char*> words;
      for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
      words.push_back(nullptr);
      execv(words[0], words.data());
      _exit(127);
    }
    for (int status = 0; waitpid(job, &status, WUNTRACED) == job;) {
      if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
      if (WIFSIGNALED(status)) _exit(128 + WTERMSIG(status));
      (void)!write(1, "STOPPED\n", 8);
      kill(-job, SIGCONT);
    }
    _exit(126);
  }

  int fd_ = -1;
  pid_t pid_ = -1;
  bool ended_ = false;
  std::string all_;
};

const std::vector<std::vector<std::string>> ways = {{}, {"--namespaces=pid"}};

std::vector<std::string> launch(const test::ChRun& f, std::vector<std::string> options,
                                const std::string& script) {
  options.insert(options.begin(), {test::ch_run_path(), "--no-home"});
  options.insert(options.end(), {f.image, "--", "sh", "-c", script});
  return options;
}

}  // namespace

TEST_CASE("Ctrl-C reaches the command, once", "[tool]") {
  const test::ChRun f;
  for (const auto& options : ways) {
    INFO("with init: " << options.size());
    Terminal terminal(launch(f, options,
                             "n=0; trap 'n=$((n+1))' INT; echo ready; "
                             "while [ $n = 0 ]; do sleep 0.1; done; sleep 0.3; echo n=$n; exit 3"));
    REQUIRE(terminal.says("ready"));
    terminal.type("\x03");
    CHECK(terminal.says("n=1\r\n"));
    CHECK(terminal.ends() == 3);
  }
}

TEST_CASE("Ctrl-C ends a command that does not handle it", "[tool]") {
  const test::ChRun f;
  for (const auto& options : ways) {
    INFO("with init: " << options.size());
    Terminal terminal(launch(f, options, "echo ready; exec sleep 100"));
    REQUIRE(terminal.says("ready"));
    terminal.type("\x03");
    CHECK(terminal.ends() == 128 + SIGINT);
  }
}

TEST_CASE("Ctrl-Z stops the command, and SIGCONT continues it", "[tool]") {
  const test::ChRun f;
  for (const auto& options : ways) {
    INFO("with init: " << options.size());
    Terminal terminal(launch(f, options, "echo ready; read line; echo got $line; exit 5"));
    REQUIRE(terminal.says("ready"));
    terminal.type("\x1a");
    REQUIRE(terminal.says("STOPPED"));
    terminal.type("on\n");
    CHECK(terminal.says("got on"));
    CHECK(terminal.ends() == 5);
  }
}
