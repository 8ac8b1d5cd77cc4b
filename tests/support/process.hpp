// SPDX-License-Identifier: Apache-2.0
//
// Test support: runs a program as from a shell, and captures its output.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/support/require.hpp"

namespace test {

struct Ran {
  int status = 0;  // of exit, or 128 + signal
  std::string out;
  std::string err;
};

struct RunOptions {
  std::vector<std::string> environment;  // NAME=VALUE, instead of the caller's if not empty
  std::string directory;                 // to start in
  std::function<void()> in_child;        // just before exec
};

/// Runs argv[0] (from PATH) to its end, standard input from /dev/null.
inline Ran run(const std::vector<std::string>& argv, const RunOptions& options = {}) {
  int out[2];
  int err[2];
  REQUIRE(pipe2(out, O_CLOEXEC) == 0);
  REQUIRE(pipe2(err, O_CLOEXEC) == 0);
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    dup2(open("/dev/null", O_RDONLY), 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    std::vector<char*> words;
    for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    std::vector<char*> variables;
    for (const auto& v : options.environment) variables.push_back(const_cast<char*>(v.c_str()));
    variables.push_back(nullptr);
    if (!options.directory.empty() && chdir(options.directory.c_str()) != 0) _exit(126);
    if (options.in_child) options.in_child();
    if (!options.environment.empty()) environ = variables.data();
    execvp(words[0], words.data());
    _exit(127);
  }
  close(out[1]);
  close(err[1]);
  Ran ran;
  pollfd fds[] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
  std::string* texts[] = {&ran.out, &ran.err};
  for (int open_ends = 2; open_ends > 0;) {
    poll(fds, 2, -1);
    for (int i = 0; i < 2; ++i) {
      if ((fds[i].revents & (POLLIN | POLLHUP)) == 0) continue;
      char buffer[4096];
      const ssize_t n = read(fds[i].fd, buffer, sizeof buffer);
      if (n > 0) {
        texts[i]->append(buffer, static_cast<std::size_t>(n));
      } else {
        close(fds[i].fd);
        fds[i].fd = -1;
        --open_ends;
      }
    }
  }
  int status = 0;
  waitpid(pid, &status, 0);
  ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ran;
}

/// A tool of ours: the variable `variable` if it is set, else the path given at build time.
inline std::string tool(const char* variable, const char* built) {
  const char* chosen = std::getenv(variable);
  return chosen != nullptr ? chosen : built;
}

}  // namespace test
