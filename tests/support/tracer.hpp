// SPDX-License-Identifier: Apache-2.0
//
// Test support: runs a program with all its processes and threads under ptrace, observes
// each system call of those that run our tools, and interferes with one: makes it fail
// or return a short count, kills the process that makes it, or changes files behind its back.
// After that, and in other programs, everything runs at full speed.
//
// A call is named by its task and by how many of its kind the task has made before ("0.1",
// SYS_write, 17: the 18th write of the first child of the first process), so that the name
// means the same in every run, however threads are scheduled and wait for one another. In a
// dynamic program, counting begins after its loader.
#pragma once

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)  // whose leak checker uses ptrace itself
#define CHARLIE_HAVE_TRACER 1

namespace test {

struct Call {
  std::string task;
  std::size_t at = 0;  // from 0, of its kind in the task
  long number = -1;
  std::uint64_t arguments[6] = {};
  pid_t pid = 0;
};

enum class Act {
  none,
  fail,         // not made; returns the error, or the call's own failure value
  fail_after,   // made, and then returns the error: how close fails
  shorten,      // made with half the count, as its third argument
  kill_before,  // SIGKILL to the process, the call is not made
  kill_after,   // the same when it has been made
  let_go,       // does nothing and stops observing: for callers that interfere themselves
};

struct Interference {
  Act act = Act::none;
  int error = 0;
  bool goes_on = false;  // at_call is asked about what follows, too
};

struct Tracing {
  /// Called at each system call. An act other than `none` is done and, unless it goes on, ends
  /// the observation.
  std::function<Interference(const Call&)> at_call;
  /// File names of the programs whose calls count; the others run at full speed.
  std::vector<std::string> programs = {"ch-run", "ch-tar2dir", "ch-fromhost", "ch-device"};
  std::chrono::milliseconds patience{30'000};  // for all of it
  std::chrono::milliseconds grace{3'000};      // for what outlives the first process
};

struct Traced {
  int status = 0;     // of the first process: of exit, or 128 + signal
  bool hit = false;   // at_call has interfered
  bool over = false;  // and is not asked any more
  bool hung = false;  // ended by us
  std::string left;   // programs that outlived the first process and the grace
  pid_t killed = 0;   // process that we killed
};

/// Status of waitpid as a shell gives it.
inline int shell_status(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

class Tracer {
 public:
  explicit Tracer(const Tracing& tracing) : tracing_(tracing) {}

  /// Runs `program`, which executes something, in a process of its own.
  Traced run(const std::function<void()>& program) {
    int gate[2];
    if (pipe(gate) != 0) return {};
    first_ = fork();
    if (first_ == 0) {
      close(gate[1]);
      char byte;
      (void)!read(gate[0], &byte, 1);  // until we are traced
      close(gate[0]);
      program();
      _exit(127);
    }
    close(gate[0]);
    tasks_[first_].name = "0";
    ptrace(PTRACE_SEIZE, first_, nullptr,
           PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE |
               PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK);
    close(gate[1]);
    follow();
    return result_;
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Task {
    std::string name;  // empty: its parent's event has not come yet
    bool stopped = false;
    bool counts = false;
    std::map<long, std::size_t> made;
    int children = 0;
    std::uint64_t entry = 0;  // where the program itself begins, if there is a breakpoint
    long word = 0;            // that was there before
    Act pending = Act::none;  // when the call ends
    int error = 0;
    /// Restores an argument register: the kernel preserves them, and programs rely on that.
    std::function<void(user_regs_struct&)> restore{};
  };

  /// Makes waitpid return periodically in this thread.
  class Ticks {
   public:
    Ticks() {
      struct sigaction action {};
      action.sa_handler = [](int) {};
      sigaction(SIGALRM, &action, &before_);
      sigevent event{};
      event.sigev_notify = SIGEV_THREAD_ID;
      event.sigev_signo = SIGALRM;
      event._sigev_un._tid = gettid();
      timer_create(CLOCK_MONOTONIC, &event, &timer_);
      const itimerspec often{{0, 50'000'000}, {0, 50'000'000}};
      timer_settime(timer_, 0, &often, nullptr);
    }
    ~Ticks() {
      timer_delete(timer_);
      sigaction(SIGALRM, &before_, nullptr);
    }
    Ticks(const Ticks&) = delete;
    Ticks& operator=(const Ticks&) = delete;

   private:
    timer_t timer_{};
    struct sigaction before_ {};
  };

  void follow() {
    const Ticks ticks;
    auto until = Clock::now() + tracing_.patience;
    bool first_ended = false;
    while (!tasks_.empty()) {
      int status = 0;
      const pid_t pid = waitpid(-1, &status, __WALL | __WNOTHREAD);
      if (pid < 0 && errno != EINTR) break;
      if (Clock::now() > until) {
        if (!first_ended) result_.hung = true;
        for (const auto& [task, what] : tasks_) {
          if (first_ended) result_.left += name_of(task) + ' ';
          kill(task, SIGKILL);
        }
        until = Clock::now() + std::chrono::hours(1);
      }
      if (pid < 0) continue;
      if (WIFEXITED(status) || WIFSIGNALED(status)) {
        tasks_.erase(pid);
        release_orphans();
        if (pid != first_) continue;
        first_ended = true;
        result_.status = shell_status(status);
        until = std::min(until, Clock::now() + tracing_.grace);
        continue;
      }
      stopped(pid, status);
    }
  }

  static pid_t parent_of(pid_t pid) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    for (std::string word; status >> word;)
      if (pid_t parent = 0; word == "PPid:" && status >> parent) return parent;
    return 0;
  }

  /// A process that was killed while it forked does not report its child, which waits for that.
  void release_orphans() {
    for (auto& [pid, task] : tasks_) {
      if (!task.name.empty() || !task.stopped || tasks_.contains(parent_of(pid))) continue;
      task.stopped = false;
      task.name = "orphan";
      go_on(pid, task, 0);
    }
  }

  void stopped(pid_t pid, int status) {
    Task& task = tasks_[pid];
    const int signal = WSTOPSIG(status);
    const int event = status >> 16;
    if (task.name.empty()) {  // its first stop came before its parent's
      task.stopped = true;
      release_orphans();
      return;
    }
    int pass = 0;
    if (signal == (SIGTRAP | 0x80)) {
      system_call(pid, task);
    } else if (event == PTRACE_EVENT_EXEC) {
      executed(pid, task);
    } else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK ||
               event == PTRACE_EVENT_CLONE) {
      unsigned long child = 0;
      ptrace(PTRACE_GETEVENTMSG, pid, nullptr, &child);
      Task& born = tasks_[static_cast<pid_t>(child)];
      born.name = task.name + '.' + std::to_string(++task.children);
      born.counts = task.counts;
      if (born.stopped) go_on(static_cast<pid_t>(child), born, 0);
    } else if (signal == SIGTRAP && event == 0 && task.entry != 0) {
      at_entry(pid, task);
    } else if (event == 0) {
      pass = signal;
    }
    go_on(pid, task, pass);
  }

  void go_on(pid_t pid, const Task& task, int signal) const {
    const bool look = (!result_.over && task.counts && task.entry == 0) ||
                      task.pending != Act::none || task.restore;
    ptrace(look ? PTRACE_SYSCALL : PTRACE_CONT, pid, nullptr, static_cast<long>(signal));
  }

  void system_call(pid_t pid, Task& task) {
    __ptrace_syscall_info info{};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0) return;
    if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
      if (const auto restore = std::exchange(task.restore, {})) registers(pid, restore);
      const Act act = std::exchange(task.pending, Act::none);
      if (act == Act::kill_after) kill_process(pid);
      if (act == Act::fail || act == Act::fail_after)
        registers(pid,
                  [&](user_regs_struct& r) { r.rax = static_cast<std::uint64_t>(-task.error); });
      return;
    }
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY || !task.counts || result_.over) return;
    const long number = static_cast<long>(info.entry.nr);
    Call call{task.name, task.made[number]++, number, {}, pid};
    std::copy(std::begin(info.entry.args), std::end(info.entry.args), call.arguments);
    const Interference what = tracing_.at_call ? tracing_.at_call(call) : Interference{};
    if (what.act == Act::none) return;
    result_.hit = true;
    result_.over = !what.goes_on;
    task.error = what.error;
    if (what.act == Act::kill_before) kill_process(pid);
    if (what.act == Act::fail && number == SYS_brk) {
      // brk returns not an error but the current end of memory, as it does for 0.
      registers(pid, [&task](user_regs_struct& r) {
        task.restore = [was = r.rdi](user_regs_struct& after) { after.rdi = was; };
        r.rdi = 0;
      });
      return;
    }
    if (what.act == Act::fail)
      registers(pid, [](user_regs_struct& r) { r.orig_rax = ~0ULL; });  // no such call
    if (what.act == Act::shorten)
      registers(pid, [&task](user_regs_struct& r) {
        task.restore = [was = r.rdx](user_regs_struct& after) { after.rdx = was; };
        r.rdx = (r.rdx + 1) / 2;
      });
    if (what.act == Act::fail || what.act == Act::fail_after || what.act == Act::kill_after)
      task.pending = what.act;
  }

  void executed(pid_t pid, Task& task) {
    const std::string name = name_of(pid);
    task.counts = std::find(tracing_.programs.begin(), tracing_.programs.end(), name) !=
                  tracing_.programs.end();
    task.entry = 0;
    if (!task.counts || result_.over) return;
    std::ifstream file("/proc/" + std::to_string(pid) + "/auxv", std::ios::binary);
    std::uint64_t entry = 0, base = 0;
    for (std::uint64_t pair[2]; file.read(reinterpret_cast<char*>(pair), sizeof pair);) {
      if (pair[0] == AT_ENTRY) entry = pair[1];
      if (pair[0] == AT_BASE) base = pair[1];
    }
    if (base == 0) return;  // no loader
    task.entry = entry;
    task.word = ptrace(PTRACE_PEEKTEXT, pid, entry, nullptr);
    constexpr long breakpoint = 0xcc;
    ptrace(PTRACE_POKETEXT, pid, entry, (task.word & ~0xffL) | breakpoint);
  }

  static void at_entry(pid_t pid, Task& task) {
    ptrace(PTRACE_POKETEXT, pid, task.entry, task.word);
    registers(pid, [&](user_regs_struct& r) { r.rip = task.entry; });
    task.entry = 0;
  }

  template <class Change>
  static void registers(pid_t pid, Change change) {
    user_regs_struct all{};
    ptrace(PTRACE_GETREGS, pid, nullptr, &all);
    change(all);
    ptrace(PTRACE_SETREGS, pid, nullptr, &all);
  }

  void kill_process(pid_t task) {
    pid_t process = task;  // which a thread's number is not
    std::ifstream proc("/proc/" + std::to_string(task) + "/status");
    for (std::string line; std::getline(proc, line);)
      if (line.rfind("Tgid:", 0) == 0) process = std::stoi(line.substr(5));
    result_.killed = process;
    kill(process, SIGKILL);
  }

  static std::string name_of(pid_t pid) {
    std::error_code ignored;
    return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe", ignored)
        .filename()
        .string();
  }

  const Tracing& tracing_;
  std::map<pid_t, Task> tasks_;
  pid_t first_ = -1;
  Traced result_;
};

/// Runs `program`, which executes something, in a traced process of its own.
inline Traced trace(const Tracing& tracing, const std::function<void()>& program) {
  return Tracer(tracing).run(program);
}

/// Becomes argv[0]; `environment`, if not empty, instead of ours; -1: leave that descriptor.
inline void become(const std::vector<std::string>& argv,
                   const std::vector<std::string>& environment, int out, int err) {
  const auto pointers = [](const std::vector<std::string>& strings) {
    std::vector<char*> all;
    for (const auto& s : strings) all.push_back(const_cast<char*>(s.c_str()));
    all.push_back(nullptr);
    return all;
  };
  if (out >= 0) dup2(out, 1);
  if (err >= 0) dup2(err, 2);
  auto words = pointers(argv);
  auto variables = pointers(environment);
  execvpe(words[0], words.data(), environment.empty() ? environ : variables.data());
  _exit(127);
}

struct TracedTool : Traced {
  std::vector<Call> calls;  // of the tool, until it has become another program
  std::string out;
  std::string err;
};

/// Runs a tool to its end, and interferes with its `at`-th call overall.
inline TracedTool trace_tool(const std::vector<std::string>& argv,
                             const std::vector<std::string>& environment,
                             std::size_t at = ~std::size_t{0}, Interference what = {}) {
  TracedTool result;
  const int out = memfd_create("out", MFD_CLOEXEC);
  const int err = memfd_create("err", MFD_CLOEXEC);
  Tracing tracing;
  tracing.patience = std::chrono::minutes(3);
  tracing.at_call = [&](const Call& call) {
    result.calls.push_back(call);
    return result.calls.size() - 1 == at ? what : Interference{};
  };
  static_cast<Traced&>(result) = trace(tracing, [&] {
    dup2(open("/dev/null", O_RDONLY), 0);
    become(argv, environment, out, err);
  });
  const auto text = [](int fd) {
    std::ifstream in("/proc/self/fd/" + std::to_string(fd));
    const std::string content{std::istreambuf_iterator<char>(in), {}};
    close(fd);
    return content;
  };
  result.out = text(out);
  result.err = text(err);
  return result;
}

}  // namespace test
#endif
