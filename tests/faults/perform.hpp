// SPDX-License-Identifier: Apache-2.0
//
// Fault injection: runs a scenario's commands, disturbed or not, and checks whether the
// result is as promised.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <sstream>

#include "tests/faults/errnos.hpp"
#include "tests/faults/scenario.hpp"
#include "tests/support/tracer.hpp"

namespace faults {

struct Outcome {
  std::vector<int> statuses;
  std::vector<std::string> out;
  std::vector<std::string> err;
  State state;
  std::vector<std::string> leftovers;
  test::Traced traced;
};

/// A memory file for a program's output.
class Output {
 public:
  Output() : fd_(memfd_create("output", MFD_CLOEXEC)) { REQUIRE(fd_ >= 0); }
  Output(Output&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Output(const Output&) = delete;
  ~Output() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] std::string text() const { return text_of("/proc/self/fd/" + std::to_string(fd_)); }

 private:
  int fd_;
};

/// Runs commands at the same time, in separate processes if there are several, and waits
/// for all. The result lacks state and leftovers.
inline Outcome run_commands(
    const std::vector<Command>& commands, const std::vector<std::string>& environment,
    const test::Tracing& tracing, const std::function<void()>& in_child = [] {}) {
  std::vector<Output> out(commands.size()), err(commands.size());
  const Output statuses;
  const auto start = [&] {
    dup2(open("/dev/null", O_RDONLY), 0);
    in_child();
    if (commands.size() == 1) test::become(commands[0], environment, out[0].fd(), err[0].fd());
    std::vector<pid_t> children;
    for (std::size_t i = 0; i < commands.size(); ++i) {
      children.push_back(fork());
      if (children.back() == 0) test::become(commands[i], environment, out[i].fd(), err[i].fd());
    }
    for (const pid_t child : children) {
      int status = 0;
      waitpid(child, &status, 0);
      dprintf(statuses.fd(), "%d\n", test::shell_status(status));
    }
    _exit(0);
  };
  Outcome outcome;
  outcome.traced = test::trace(tracing, start);
  if (commands.size() == 1)
    outcome.statuses = {outcome.traced.status};
  else {
    std::istringstream lines(statuses.text());
    for (int status; lines >> status;) outcome.statuses.push_back(status);
    outcome.statuses.resize(commands.size(), -1);
  }
  for (const auto& o : out) outcome.out.push_back(o.text());
  for (const auto& e : err) outcome.err.push_back(e.text());
  return outcome;
}

/// How long a run may take, disturbed or not, before it counts as hanging; a good one takes
/// a fraction of a second.
constexpr std::chrono::seconds patience{15};

/// Traces nothing: as if there were no tracer, except that a hanging program is killed.
inline test::Tracing unwatched() {
  test::Tracing tracing;
  tracing.patience = patience;
  tracing.programs.clear();
  return tracing;
}

inline Outcome perform(
    const Scenario& s, const test::Tracing& tracing,
    const std::function<void()>& in_child = [] {}) {
  Outcome outcome = run_commands(s.commands, s.environment, tracing, in_child);
  outcome.leftovers = s.leftovers();
  // The process killed last may still be exiting.
  for (int tries = 0; tries < 20 && !outcome.leftovers.empty(); ++tries) {
    if (s.commands.size() == 1) break;
    usleep(50'000);
    outcome.leftovers = s.leftovers();
  }
  outcome.state = s.state();
  return outcome;
}

/// Lines of `text` that begin with `start`, or that don't.
inline std::string lines_with(const std::string& text, const std::string& start, bool wanted) {
  if (start.empty()) return wanted ? "" : text;
  std::string some;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if ((line.rfind(start, 0) == 0) == wanted) some += line + '\n';
  return some;
}

/// The part of a command's output that is the same each time.
inline std::string comparable(const Scenario& s, const std::string& out) {
  return lines_with(lines_with(out, s.common, false), s.remarks, false);
}

/// Is `some` the lines of `all` in order, with some of them missing?
inline bool is_part(const std::string& some, const std::string& all) {
  std::istringstream lines(some), from(all);
  for (std::string line, other; std::getline(lines, line);) {
    do
      if (!std::getline(from, other)) return false;
    while (other != line);
  }
  return true;
}

/// What is wrong with the messages of a command that was refused.
inline std::string message_problem(const std::string& tool, const std::string& err) {
  std::istringstream lines(err);
  int errors = 0;
  for (std::string line; std::getline(lines, line);)
    errors += line.find(": error: ") != std::string::npos ? 1 : 0;
  std::string problem;
  if (errors != 1) problem += "  " + std::to_string(errors) + " error messages\n";
  // ch-device speaks for ch-run.
  if (errors > 0 && err.find(tool + ": error: ") == std::string::npos &&
      err.find("ch-device: error: ") == std::string::npos)
    problem += "  the message is not the tool's\n";
  for (const char* internal : {"std::", "bad_alloc", "terminate", "what()", "Assertion",
                               "basic_string", "Unexpected error", "futex facility"})
    if (err.find(internal) != std::string::npos)
      problem += std::string("  speaks of ") + internal + '\n';
  return problem;
}

enum class Verdict { refused, unaffected, killed };

struct Judged {
  Verdict verdict = Verdict::unaffected;
  std::string wrong;  // empty: all is well
};

/// Does a warning in `text` name `path`, a directory above it, or something in it?
inline bool is_warned_of(const std::string& text, const std::string& path) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(": warning: ") == std::string::npos) continue;
    for (std::string named = path; !named.empty(); named.resize(named.rfind('/')))
      for (auto at = line.find(named); at != std::string::npos; at = line.find(named, at + 1)) {
        const char next = at + named.size() < line.size() ? line[at + named.size()] : ' ';
        const bool ends = std::strchr(" ,;:", next) != nullptr;
        if (line[at - 1] == ' ' && (ends || (next == '/' && named == path))) return true;
      }
  }
  return false;
}

/// ch-run's status if the container was complete, so that what was made for it stays.
inline constexpr int command_failed = 49;

/// What a run left behind, except what it warns about besides `wanted`.
inline State without_warned(const Scenario& s, const State& wanted, const Outcome& found) {
  State state = found.state;
  if (!s.may_stay.empty())
    std::erase_if(state, [&](const auto& item) {
      return item.first.starts_with(s.may_stay + '/') && !wanted.contains(item.first) &&
             (found.statuses[0] == command_failed ||
              is_warned_of(found.err[0], item.first.substr(s.may_stay.size())));
    });
  return state;
}

/// Compares a disturbed run with the undisturbed one and with the state before it.
inline Judged judge(const Scenario& s, const State& before, const Outcome& good,
                    const Outcome& found, std::size_t victim) {
  Judged judged;
  std::string& wrong = judged.wrong;
  if (found.traced.hung) wrong += "  hung\n";
  if (!found.traced.left.empty()) wrong += "  left running: " + found.traced.left + '\n';
  bool refused = false, killed = false;
  std::string container;
  for (std::size_t i = 0; i < s.commands.size(); ++i) {
    const std::string& err = found.err[i];
    const int status = found.statuses[i];
    const std::string who = s.commands.size() > 1 ? "  command " + std::to_string(i) : "  ";
    if (found.traced.killed != 0 && i == victim && status == 128 + SIGKILL) {
      killed = true;
    } else if (status == good.statuses[i]) {
      const auto wanted = comparable(s, good.out[i]);
      const auto now = comparable(s, found.out[i]);
      if (now != wanted) wrong += who + " printed otherwise\n" + line_difference(wanted, now);
      const auto common = lines_with(found.out[i], s.common, true);
      if (!container.empty() && common != container) wrong += who + " is somewhere else\n";
      container = common;
    } else if (std::find(s.refusals.begin(), s.refusals.end(), status) != s.refusals.end()) {
      refused = true;
      const std::string problem = message_problem(s.tool, err);
      if (!problem.empty()) wrong += who + " message:\n" + problem;
      const bool lost_some = err.find("standard output") != std::string::npos;
      if (!(lost_some ? is_part(found.out[i], good.out[i]) : good.out[i].starts_with(found.out[i])))
        wrong += who + " printed: " + found.out[i] + '\n';
    } else {
      wrong += who + " ended with " + std::to_string(status) + '\n';
    }
    if (!killed)
      for (const auto& name : found.leftovers)
        if (err.find(name) == std::string::npos && s.commands.size() == 1)
          wrong += "  left behind, and not a word: " + name + '\n';
  }
  if (s.commands.size() == 1 && !killed) {
    const State done = without_warned(s, good.state, found);
    if (!refused && done != good.state)
      wrong += "  said to be done, but:\n" + difference(good.state, done);
    // Did it fail only to report success?
    const bool only_said = found.state == good.state && before != good.state;
    if (refused && without_warned(s, before, found) != before && !only_said)
      wrong += "  refused, but not as before:\n" + difference(before, found.state);
    if (refused && only_said && found.err[0].find("complete") == std::string::npos &&
        found.err[0].find("standard output") == std::string::npos)
      wrong += "  refused, but done, and not a word of that\n";
  }
  if (s.commands.size() > 1 && !found.leftovers.empty())
    wrong += "  left behind: " + found.leftovers.front() + '\n';
  judged.verdict = killed ? Verdict::killed : refused ? Verdict::refused : Verdict::unaffected;
  return judged;
}

/// Whether the next, undisturbed run does everything after `found`; and whether that can be
/// undone.
inline std::string recovery_problem(const Scenario& s, const State& before, const Outcome& good,
                                    const Outcome& found) {
  const Outcome next = perform(s, unwatched());
  std::string wrong;
  for (std::size_t i = 0; i < s.commands.size(); ++i) {
    if (next.statuses[i] != good.statuses[i])
      wrong += "  the next run ended with " + std::to_string(next.statuses[i]) + ": " + next.err[i];
    else if (!s.common.empty() && comparable(s, next.out[i]) != comparable(s, good.out[i]))
      wrong += "  the next run printed otherwise\n" + line_difference(good.out[i], next.out[i]);
  }
  if (next.state != good.state)
    wrong += "  after the next run:\n" + difference(good.state, next.state);
  for (const auto& name : next.leftovers) {
    // An image that may be in use is kept under that name, and the user is told.
    const bool kept = name.ends_with(".old") && found.err[0].find(name) != std::string::npos;
    if (!kept) wrong += "  the next run leaves " + name + '\n';
  }
  if (s.undo.empty()) return wrong;
  const Outcome undone = run_commands({s.undo}, s.environment, unwatched());
  if (undone.statuses[0] != 0) wrong += "  can't be undone: " + undone.err[0];
  const State state = s.state();
  if (state != before) wrong += "  when undone:\n" + difference(before, state);
  return wrong;
}

}  // namespace faults
