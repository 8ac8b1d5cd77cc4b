// SPDX-License-Identifier: Apache-2.0
//
// Test support: a program that runs while the test does something else, its output in files.
#pragma once

#include <memory>

#include "tests/image/tool_fixture.hpp"

namespace test {

class Started {
 public:
  Started(const std::vector<std::string>& argv, std::string output) : output_(std::move(output)) {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    const int out = create(output_ + ".out"), err = create(output_ + ".err");
    std::vector<char*> words;
    for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      dup2(ends[0], 0);
      dup2(out, 1);
      dup2(err, 2);
      execvp(words[0], words.data());
      _exit(127);
    }
    close(ends[0]);
    close(out);
    close(err);
    in_ = ends[1];
  }
  ~Started() {
    if (pid_ > 0) kill(pid_, SIGKILL);
    (void)wait();
  }
  Started(const Started&) = delete;
  Started& operator=(const Started&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] std::string out() const { return read_file(output_ + ".out"); }
  [[nodiscard]] bool has_ended() const {
    siginfo_t info{};
    return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == pid_;
  }
  /// Ends its standard input and waits for its end.
  Ran wait() {
    if (in_ >= 0) close(std::exchange(in_, -1));
    int status = 0;
    if (pid_ > 0) waitpid(std::exchange(pid_, -1), &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), out(),
            read_file(output_ + ".err")};
  }

 private:
  static int create(const std::string& name) {
    const int fd = open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    return fd;
  }
  std::string output_;
  pid_t pid_ = -1;
  int in_ = -1;
};

}  // namespace test
