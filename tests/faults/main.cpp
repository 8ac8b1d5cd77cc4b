// SPDX-License-Identifier: Apache-2.0
//
// Fault injection: for each scenario, runs the undisturbed case once and records each system call
// that our tools make in it. Then runs it again for each call and each fault that it can have,
// and compares the result with the undisturbed case; and then undisturbed, which must repair
// everything. Last, with each newer system call refused throughout, as on an older kernel.

#include <sys/mman.h>
#include <sys/prctl.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "tests/faults/perform.hpp"

//
#include "tests/faults/inject_scenarios.hpp"
#include "tests/faults/run_scenarios.hpp"
#include "tests/faults/unpack_scenarios.hpp"
#include "tests/support/filter_calls.hpp"

namespace {

using namespace faults;

struct Arguments {
  Tools tools;
  bool all = false;
  bool list = false;
  bool calls = false;
  int jobs = 2;
  std::string markdown;
  std::vector<std::string> wanted;
};

/// Of one scenario, written by all workers.
struct Counts {
  std::atomic<int> calls, faults, kills, refused, unaffected, killed, missed, hidden, hung, wrong,
      parts, seconds;
};

struct Point {
  test::Call call;
  Fault fault;
  bool loses_content = false;  // of a file that is written
};

/// One scenario's part: the points whose index is `part` modulo `parts`.
class Worker {
 public:
  Worker(const Arguments& arguments, const Entry& entry, Counts& counts)
      : arguments_(arguments),
        entry_(entry),
        counts_(counts),
        place_(arguments.tools, entry.tool == "ch-run"),
        scenario_(entry.make(place_)) {}

  void run(std::size_t part, std::size_t parts) {
    scenario_.reset();
    before_ = scenario_.state();
    std::vector<test::Call> calls;
    struct stat place {};
    const dev_t device = ::stat(place_.path.c_str(), &place) == 0 ? place.st_dev : 0;
    test::Tracing recording;
    recording.at_call = [&](const test::Call& call) {
      calls.push_back(call);
      if (decides_content(call, device)) content_.insert(calls.size() - 1);
      return test::Interference{};
    };
    good_ = perform(scenario_, recording);
    for (std::size_t i = 0; i < good_.statuses.size(); ++i)
      if (good_.statuses[i] != 0)
        return say("the good run",
                   "  ended with " + std::to_string(good_.statuses[i]) + ": " + good_.err[i]);
    if (part == 0) counts_.calls = static_cast<int>(calls.size());
    if (arguments_.calls) {
      for (const auto& call : calls) std::cout << name_of(call) << '\n';
      return;
    }
    const auto points = chosen(calls);
    for (std::size_t i = part; i < points.size(); i += parts) disturb(points[i]);
    if (part == 0) old_kernels();
  }

 private:
  static std::string name_of(const test::Call& call) {
    return "system call " + std::to_string(call.number) + ", its " + std::to_string(call.at + 1) +
           ". in process " + call.task;
  }

  /// Everything; or a part that is always the same: for calls that change things, one fault
  /// per call; for calls that decide a file's content, one error per call; and of the rest
  /// every 41st.
  [[nodiscard]] std::vector<Point> chosen(const std::vector<test::Call>& calls) const {
    std::vector<Point> points;
    constexpr std::size_t stride = 41;
    std::map<std::string, std::uint64_t> last_pages;  // of each process's memory, by brk
    std::map<std::size_t, std::size_t> losses;        // of each call that decides content
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (calls[i].number == SYS_brk && calls[i].arguments[0] != 0) {
        const std::uint64_t page = (calls[i].arguments[0] + 4095) / 4096;
        // Within an existing page it can't fail, and malloc relies on that.
        if (std::exchange(last_pages[calls[i].task], page) == page) continue;
      }
      const auto faults = faults_of(calls[i]);
      for (std::size_t j = 0; j < faults.size(); ++j) {
        const bool loses = content_.contains(i) && loses_content(faults[j]);
        const bool takes_turns = changes_things(calls[i].number) && j == i % faults.size();
        if (arguments_.all || takes_turns || (i + 7 * j) % stride == 0)
          points.push_back({calls[i], faults[j], loses});
        else if (loses && losses[i]++ == i % 3)  // there are three such errors of each
          points.push_back({calls[i], faults[j], loses});
      }
    }
    return points;
  }

  void disturb(const Point& point) {
    using test::Act;
    scenario_.reset();
    test::Tracing tracing;
    tracing.patience = patience;
    tracing.at_call = [&](const test::Call& call) {
      if (call.task != point.call.task || call.number != point.call.number ||
          call.at != point.call.at)
        return test::Interference{};
      return test::Interference{point.fault.act, point.fault.error};
    };
    const Outcome found = perform(scenario_, tracing);
    const bool kills = point.fault.act == Act::kill_before || point.fault.act == Act::kill_after;
    ++(kills ? counts_.kills : counts_.faults);
    if (!found.traced.hit) ++counts_.missed;
    if (found.traced.hung) ++counts_.hung;
    // "0.2.1": of the second command; "0" starts them, if there are several.
    std::size_t victim = 0;
    if (scenario_.commands.size() > 1 && point.call.task.size() > 2)
      victim = std::stoul(point.call.task.substr(2)) - 1;
    Judged judged = judge(scenario_, before_, good_, found, victim);
    count(judged.verdict);
    // Everything was written in spite of the error, so only the tool's status can tell.
    if (point.loses_content && point.call.number == SYS_close && found.traced.hit &&
        judged.verdict == Verdict::unaffected)
      judged.wrong += "  said to be done, though the end of writing a file has failed\n";
    if (judged.wrong.empty()) judged.wrong = recovery_problem(scenario_, before_, good_, found);
    if (!judged.wrong.empty())
      say(name_of(point.call) + ", " + faults::name_of(point.fault), judged.wrong, &found);
  }

  /// Newer system calls, refused one by one, and all at once.
  void old_kernels() {
    const std::vector<unsigned> newer = {
        SYS_openat2,    SYS_clone3,     SYS_close_range,  SYS_mount_setattr,
        SYS_open_tree,  SYS_move_mount, SYS_fsopen,       SYS_fsconfig,
        SYS_fsmount,    SYS_renameat2,  SYS_statx,        SYS_pidfd_open,
        SYS_faccessat2, SYS_linkat,     SYS_memfd_create, SYS_execveat};
    std::vector<std::vector<unsigned>> sets;
    for (const unsigned one : newer) sets.push_back({one});
    sets.push_back(newer);
    for (const auto& set : sets)
      for (const int error : {ENOSYS, EPERM}) {
        scenario_.reset();
        Outcome found =
            perform(scenario_, unwatched(), [&] { test::filter_calls(set, unsigned(error)); });
        ++counts_.hidden;
        // The filter is visible in the container; that is not a fault.
        Outcome good = good_;
        for (Outcome* o : {&good, &found})
          for (auto& out : o->out) out = lines_with(out, "Seccomp:", false);
        const Judged judged = judge(scenario_, before_, good, found, 0);
        count(judged.verdict);
        if (!judged.wrong.empty())
          say((set.size() > 1 ? std::string("every newer call")
                              : "call " + std::to_string(set[0])) +
                  " refused with " + strerrorname_np(error),
              judged.wrong, &found);
      }
  }

  void count(Verdict verdict) {
    ++(verdict == Verdict::killed    ? counts_.killed
       : verdict == Verdict::refused ? counts_.refused
                                     : counts_.unaffected);
  }

  void say(const std::string& where, const std::string& wrong, const Outcome* found = nullptr) {
    ++counts_.wrong;
    std::string text = entry_.tool + ": " + entry_.name + ": " + where + '\n' + wrong;
    if (found != nullptr)
      for (std::size_t i = 0; i < found->statuses.size(); ++i)
        text += "    status " + std::to_string(found->statuses[i]) +
                ", says: " + found->err[i].substr(0, 600) +
                (found->err[i].ends_with('\n') ? "" : "\n");
    (void)!write(2, text.data(), text.size());  // in one piece
  }

  const Arguments& arguments_;
  const Entry& entry_;
  Counts& counts_;
  Place place_;
  Scenario scenario_;
  State before_;
  Outcome good_;
  std::set<std::size_t> content_;  // which of the good run's calls decide a file's content
};

std::string row(const Entry& entry, const Counts& c) {
  std::string text = "| " + entry.tool + " | " + entry.name;
  for (const int n :
       {c.calls.load(), c.faults.load(), c.kills.load(), c.hidden.load(), c.refused.load(),
        c.unaffected.load(), c.missed.load(), c.hung.load(), c.wrong.load(), c.seconds.load()})
    text += " | " + std::to_string(n);
  return text + " |\n";
}

std::string figures(const std::vector<Entry>& entries, const Counts* counts, bool short_one) {
  std::string table =
      "| tool | scenario | calls | faults | kills | calls hidden | refused | unaffected | "
      "not reached | hangs | wrong | seconds |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|---|\n";
  Counts sum{};
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Counts& c = counts[i];
    table += row(entries[i], c);
    sum.calls += c.calls, sum.faults += c.faults, sum.kills += c.kills, sum.hidden += c.hidden;
    sum.refused += c.refused, sum.unaffected += c.unaffected, sum.missed += c.missed;
    sum.hung += c.hung, sum.wrong += c.wrong, sum.seconds += c.seconds;
  }
  return table +
         row({"all", std::to_string(entries.size()) + (short_one ? ", a part" : ""), {}}, sum);
}

int usage() {
  std::cerr << "Usage: charlie_faults --tools=DIR --probe=FILE --objects=DIR [--all] [--jobs=N]\n"
               "         [--markdown=FILE] [--list] [--calls] [SCENARIO...]\n";
  return 64;
}

bool parse(int argc, char** argv, Arguments& a) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const std::string value = word.substr(std::min(word.find('=') + 1, word.size()));
    if (word == "--all")
      a.all = true;
    else if (word == "--list")
      a.list = true;
    else if (word == "--calls")
      a.calls = true;
    else if (word.starts_with("--tools="))
      a.tools.bin = value;
    else if (word.starts_with("--probe="))
      a.tools.probe = value;
    else if (word.starts_with("--objects="))
      a.tools.objects = value;
    else if (word.starts_with("--jobs="))
      a.jobs = std::atoi(value.c_str());
    else if (word.starts_with("--markdown="))
      a.markdown = value;
    else if (word.starts_with("--"))
      return false;
    else
      a.wanted.push_back(word);
  }
  return !a.tools.bin.empty() && a.jobs > 0;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  if (!parse(argc, argv, a)) return usage();
  umask(022);
  std::vector<Entry> entries;
  for (const auto& some : {run_scenarios(), unpack_scenarios(), inject_scenarios()})
    for (const auto& entry : some) {
      const std::string name = entry.tool + ": " + entry.name;
      const bool wanted = std::any_of(a.wanted.begin(), a.wanted.end(), [&](const auto& part) {
        return name.find(part) != std::string::npos;
      });
      if (wanted || a.wanted.empty()) entries.push_back(entry);
      if (a.list && (wanted || a.wanted.empty())) std::cout << name << '\n';
    }
  if (a.list) return 0;
  if (entries.empty()) return usage();

  const std::size_t size = sizeof(Counts) * entries.size() + sizeof(std::atomic<std::size_t>);
  void* shared = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 1;
  auto* next = new (shared) std::atomic<std::size_t>(0);
  auto* counts = reinterpret_cast<Counts*>(next + 1);  // all zero

  const std::size_t parts = a.all && !a.calls ? 4 : 1;
  std::vector<pid_t> workers;
  for (int job = 0; job < a.jobs; ++job) {
    workers.push_back(fork());
    if (workers.back() != 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (std::size_t unit; (unit = (*next)++) < entries.size() * parts;) {
      const std::size_t which = unit / parts;
      const auto begin = std::chrono::steady_clock::now();
      try {
        Worker(a, entries[which], counts[which]).run(unit % parts, parts);
      } catch (const std::exception& e) {
        ++counts[which].wrong;
        dprintf(2, "%s: %s: the test itself failed: %s\n", entries[which].tool.c_str(),
                entries[which].name.c_str(), e.what());
      }
      counts[which].seconds += static_cast<int>(
          std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin)
              .count());
      if (++counts[which].parts == static_cast<int>(parts) && !a.calls) {
        const std::string text = row(entries[which], counts[which]);
        (void)!write(2, text.data(), text.size());  // what there is so far
      }
    }
    std::cout.flush();
    _exit(0);
  }
  bool lost = false;
  for (const pid_t worker : workers) {
    int status = 0;
    waitpid(worker, &status, 0);
    lost = lost || status != 0;
  }
  if (a.calls) return 0;
  std::cout << figures(entries, counts, !a.all);
  if (!a.markdown.empty()) std::ofstream(a.markdown) << figures(entries, counts, !a.all);
  int wrong = lost ? 1 : 0;
  for (std::size_t i = 0; i < entries.size(); ++i) wrong += counts[i].wrong;
  return wrong == 0 ? 0 : 1;
}
