// SPDX-License-Identifier: Apache-2.0
//
// Test support: runs a program with all its processes and threads under ptrace, and at
// the k-th system call of certain kinds lets that call fail, kills the process, or changes
// files behind its back. Calls are counted over all of them, from the first mkdirat on,
// when a tool usually begins to touch the disk. A seccomp filter picks the calls, so that
// only these stop: with every call a stop, a loop over all k takes minutes.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <csignal>
#include <cstddef>
#include <fstream>
#include <functional>
#include <set>

#include "tests/support/process.hpp"

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)  // whose leak checker uses ptrace itself
#define CHARLIE_HAVE_FAULT_TRACER 1

namespace test {

struct Fault {
  std::function<bool(long)> concerns;  // which system calls are counted
  int at = 0;                          // from 0
  int error = 0;                       // errno; 0: SIGKILL to the process that makes the call
  long from = SYS_mkdirat;             // counting begins with the first call of this kind
  bool in_programs = true;             // count also in programs that the tool executes
  bool lasts = false;                  // the calls after it fail, too, as on a full disk
  std::function<void()> meddle{};      // instead of all that: done while the call waits
  std::function<void()> in_child{};    // before the tool is executed
};

struct Faulty {
  int status = 0;    // of exit, or 128 + signal
  int calls = 0;     // that were counted
  bool hit = false;  // was there an at-th one?
  std::string err;
};

/// Makes this process, and what it starts, stop at these calls.
inline void stop_at(const Fault& fault) {
  constexpr unsigned last = 470;
  std::vector<sock_filter> filter = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (unsigned number = 0; number < last; ++number) {
    const auto call = static_cast<long>(number);
    if (call != fault.from && !fault.concerns(call)) continue;
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    _exit(126);
}

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
    raise(SIGSTOP);  // from here on the options below hold
    if (fault.in_child) fault.in_child();
    stop_at(fault);
    execv(words[0], words.data());
    _exit(127);
  }
  Faulty result;
  int status = 0;
  waitpid(pid, &status, 0);
  ptrace(PTRACE_SETOPTIONS, pid, nullptr,
         PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE |
             PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK);
  bool counting = false;
  bool started = false;      // the tool itself has been executed
  std::set<pid_t> programs;  // that it has executed
  ptrace(PTRACE_CONT, pid, nullptr, nullptr);
  for (;;) {
    const pid_t task = waitpid(-1, &status, __WALL);
    if (task < 0) break;
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      if (task == pid)
        result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      continue;
    }
    long pass = 0;
    if (status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)) {
      user_regs_struct registers{};
      ptrace(PTRACE_GETREGS, task, nullptr, &registers);
      const long number = static_cast<long>(registers.orig_rax);
      counting = counting || number == fault.from;
      const bool counts = fault.in_programs || programs.count(task) == 0;
      const bool concerned = counting && counts && fault.concerns(number);
      const int call = concerned ? result.calls++ : -1;
      if (call == fault.at || (fault.lasts && call > fault.at)) {
        result.hit = true;
        if (fault.meddle) {
          fault.meddle();
        } else if (fault.error == 0) {
          // The process, not the thread: find its number.
          pid_t group = task;
          std::string line;
          std::ifstream proc("/proc/" + std::to_string(task) + "/status");
          while (std::getline(proc, line))
            if (line.rfind("Tgid:", 0) == 0) group = std::stoi(line.substr(5));
          kill(group, SIGKILL);
        } else {
          registers.orig_rax = ~0ULL;  // the call is left out, and this is its answer
          registers.rax = static_cast<unsigned long long>(-static_cast<long long>(fault.error));
          ptrace(PTRACE_SETREGS, task, nullptr, &registers);
        }
      }
    } else if (status >> 16 == PTRACE_EVENT_EXEC) {
      if (started) programs.insert(task);
      started = true;
    } else if (status >> 16 == 0 && WSTOPSIG(status) != SIGSTOP && WSTOPSIG(status) != SIGTRAP) {
      pass = WSTOPSIG(status);
    }
    ptrace(PTRACE_CONT, task, nullptr, pass);
  }
  std::ifstream text(err_file);
  result.err = {std::istreambuf_iterator<char>(text), {}};
  return result;
}

}  // namespace test
#endif
