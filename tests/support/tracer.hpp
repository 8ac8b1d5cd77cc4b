// SPDX-License-Identifier: Apache-2.0
//
// Test support: runs a program under ptrace and does something to its k-th system call:
// kills it there, or lets the call fail with an errno instead of being made.
#pragma once

#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <vector>

#include "tests/support/process.hpp"

#if defined(__x86_64__)
#define CHARLIE_HAVE_TRACER 1

namespace test {

struct Interference {
  std::size_t at = ~std::size_t{0};  // index of the call, from 0, not counting the first execve
  int error = 0;                     // errno that it fails with; 0: SIGKILL instead
};

struct Traced {
  int status = 0;         // of exit, or 128 + signal
  std::size_t calls = 0;  // made before the program changed (execve that succeeded)
  long number = -1;       // of the call that was interfered with
  std::vector<long> numbers;  // of those `calls`, in order
  std::string out;
  std::string err;
};

/// Runs argv to its end, interfering once. Output goes to files in `directory`.
inline Traced trace(const std::vector<std::string>& argv, const RunOptions& options,
                    const std::string& directory, Interference interference) {
  const std::string out_name = directory + "/traced.out";
  const std::string err_name = directory + "/traced.err";
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(open(out_name.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
    dup2(open(err_name.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
    std::vector<char*> words;
    for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    std::vector<char*> variables;
    for (const auto& v : options.environment) variables.push_back(const_cast<char*>(v.c_str()));
    variables.push_back(nullptr);
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    execve(words[0], words.data(), variables.data());
    _exit(127);
  }
  Traced traced;
  int status = 0;
  waitpid(pid, &status, 0);  // the SIGTRAP of the first execve
  ptrace(PTRACE_SETOPTIONS, pid, nullptr,
         PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
  bool entering = true;
  bool changed = false;
  bool failing = false;
  for (int pass = 0;;) {
    ptrace(PTRACE_SYSCALL, pid, nullptr, static_cast<long>(pass));
    pass = 0;
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) || WIFSIGNALED(status)) break;
    const int signal = WSTOPSIG(status);
    if (status >> 8 == (SIGTRAP | (PTRACE_EVENT_EXEC << 8))) {
      changed = true;
      continue;
    }
    if (signal != (SIGTRAP | 0x80)) {
      pass = signal;
      continue;
    }
    user_regs_struct registers {};
    ptrace(PTRACE_GETREGS, pid, nullptr, &registers);
    if (failing) {
      registers.rax = static_cast<unsigned long long>(-interference.error);
      ptrace(PTRACE_SETREGS, pid, nullptr, &registers);
      failing = false;
    } else if (entering && !changed) {
      traced.numbers.push_back(static_cast<long>(registers.orig_rax));
      if (traced.calls++ == interference.at) {
        traced.number = static_cast<long>(registers.orig_rax);
        if (interference.error == 0) {
          kill(pid, SIGKILL);
        } else {
          registers.orig_rax = ~0ULL;  // no such call: nothing is done
          ptrace(PTRACE_SETREGS, pid, nullptr, &registers);
          failing = true;
        }
      }
    }
    entering = !entering;
  }
  traced.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  const auto text = [](const std::string& name) {
    std::string content;
    const int fd = open(name.c_str(), O_RDONLY);
    char buffer[4096];
    for (ssize_t n = 0; (n = read(fd, buffer, sizeof buffer)) > 0;)
      content.append(buffer, static_cast<std::size_t>(n));
    close(fd);
    return content;
  };
  traced.out = text(out_name);
  traced.err = text(err_name);
  return traced;
}

}  // namespace test
#endif
