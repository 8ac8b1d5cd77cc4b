// SPDX-License-Identifier: Apache-2.0
//
// Test support: runs a program with all its processes and threads under ptrace, and at
// the k-th system call of certain kinds lets that call fail, or kills the process. Calls
// are counted over all of them, from the first mkdirat on, when the tool begins to touch
// the disk.
#pragma once

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <map>

#include "tests/support/process.hpp"

#if defined(__x86_64__)
#define CHARLIE_HAVE_FAULT_TRACER 1

namespace test {

struct Fault {
  std::function<bool(long)> concerns;  // which system calls are counted
  int at = 0;                          // from 0
  int error = 0;                       // errno; 0: SIGKILL to the process that makes the call
};

struct Faulty {
  int status = 0;    // of exit, or 128 + signal
  int calls = 0;     // that were counted
  bool hit = false;  // was there an at-th one?
  std::string err;
};

inline Faulty run_with_fault(const std::vector<std::string>& argv, const Fault& fault,
                             const std::string& err_file) {
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(open("/dev/null", O_RDWR), 0);
    dup2(open("/dev/null", O_RDWR), 1);
    dup2(open(err_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
    std::vector<char*> words;
    for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    execv(words[0], words.data());
    _exit(127);
  }
  Faulty result;
  int status = 0;
  waitpid(pid, &status, 0);
  ptrace(PTRACE_SETOPTIONS, pid, nullptr,
         PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE |
             PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK);
  struct Task {
    bool inside = false;   // between entry and exit of a call
    bool failing = false;  // the result is to be replaced
  };
  std::map<pid_t, Task> tasks;
  bool counting = false;
  ptrace(PTRACE_SYSCALL, pid, nullptr, nullptr);
  for (;;) {
    const pid_t task = waitpid(-1, &status, __WALL);
    if (task < 0) break;
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      tasks.erase(task);
      if (task == pid)
        result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      continue;
    }
    long pass = 0;
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
      Task& t = tasks[task];
      user_regs_struct registers{};
      ptrace(PTRACE_GETREGS, task, nullptr, &registers);
      t.inside = !t.inside;
      const long number = static_cast<long>(registers.orig_rax);
      if (t.inside) {
        counting = counting || number == SYS_mkdirat;
        if (counting && fault.concerns(number) && result.calls++ == fault.at) {
          result.hit = true;
          if (fault.error == 0) {
            // The process, not the thread: find its number.
            pid_t group = task;
            std::string line;
            std::ifstream proc("/proc/" + std::to_string(task) + "/status");
            while (std::getline(proc, line))
              if (line.rfind("Tgid:", 0) == 0) group = std::stoi(line.substr(5));
            kill(group, SIGKILL);
          } else {
            registers.orig_rax = ~0ULL;
            ptrace(PTRACE_SETREGS, task, nullptr, &registers);
            t.failing = true;
          }
        }
      } else if (t.failing) {
        t.failing = false;
        registers.rax = static_cast<unsigned long long>(-static_cast<long long>(fault.error));
        ptrace(PTRACE_SETREGS, task, nullptr, &registers);
      }
    } else if (status >> 16 == 0 && WSTOPSIG(status) != SIGSTOP && WSTOPSIG(status) != SIGTRAP) {
      pass = WSTOPSIG(status);
    }
    ptrace(PTRACE_SYSCALL, task, nullptr, pass);
  }
  std::ifstream text(err_file);
  result.err = {std::istreambuf_iterator<char>(text), {}};
  return result;
}

}  // namespace test
#endif
