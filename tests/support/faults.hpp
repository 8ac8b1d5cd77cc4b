// SPDX-License-Identifier: Apache-2.0
//
// Test support: runs a tool, and makes the k-th of certain system calls fail, kills the
// process that makes it, or changes files behind its back. Calls are counted over all
// processes and threads, from the first of a certain kind on, by default mkdirat: when a
// tool usually begins to touch the disk.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/tracer.hpp"

#ifdef CHARLIE_HAVE_TRACER

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
  bool own = false;                    // count only in the process of the tool itself
};

struct Faulty {
  int status = 0;    // of exit, or 128 + signal
  int calls = 0;     // that were counted
  bool hit = false;  // was there an at-th one?
  bool hung = false;
  std::string err;
};

/// What to do at this counted call.
inline Interference interference(const Fault& fault, const Call& call) {
  if (fault.meddle) {
    fault.meddle();
    return {Act::let_go};
  }
  if (fault.error == 0) return {Act::kill_before};
  // The kernel closes a descriptor whatever it then returns.
  return {call.number == SYS_close ? Act::fail_after : Act::fail, fault.error, fault.lasts};
}

inline Faulty run_with_fault(const std::vector<std::string>& argv, const Fault& fault) {
  Faulty result;
  bool counting = false;
  Tracing tracing;
  tracing.patience = std::chrono::minutes(2);
  if (fault.in_programs)
    tracing.programs.insert(tracing.programs.end(), {"ldconfig", "ldconfig.real"});
  pid_t tool = 0;
  tracing.at_call = [&](const Call& call) {
    if (tool == 0) tool = call.pid;
    if (fault.own && call.pid != tool) return Interference{};
    counting = counting || call.number == fault.from;
    if (!counting || !fault.concerns(call.number)) return Interference{};
    const int at = result.calls++;
    return at == fault.at || (fault.lasts && at > fault.at) ? interference(fault, call)
                                                            : Interference{};
  };
  const int err = memfd_create("err", MFD_CLOEXEC);
  const Traced traced = trace(tracing, [&] {
    const int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    if (fault.in_child) fault.in_child();
    become(argv, {}, null, err);
  });
  result.status = traced.status;
  result.hit = traced.hit;
  result.hung = traced.hung;
  std::ifstream text("/proc/self/fd/" + std::to_string(err));
  result.err = {std::istreambuf_iterator<char>(text), {}};
  close(err);
  return result;
}

}  // namespace test
#endif
