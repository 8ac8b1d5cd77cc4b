// SPDX-License-Identifier: Apache-2.0
//
// Measures how long commands take from start to end, so that they can be compared on a machine
// that also does other things: one after the other in rounds, all on one core, started by vfork
// and exec, which cost the same for all of them. What disturbs one round disturbs one run of
// each, and hardly affects minimum and median. Each round has a different order, since a command
// that runs after a large program pays for the caches that the latter has filled, and one that
// runs after a program with the same system calls finds the caches warm.
// Source: man 2 vfork, sched_setaffinity, clock_gettime.

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

extern char** environ;

namespace {

constexpr const char* usage =
    "usage: interleave [--rounds N] [--warm N] [--cpu N] [--at-once N] [--json FILE]\n"
    "                  --case NAME COMMAND [ARG...] [--case ...]\n"
    "The first case is the base: overhead is time minus its time. --at-once N measures\n"
    "launches per second on all cores, N in flight. CPU -1: not pinned.\n";

struct Case {
  std::string name;
  std::vector<char*> argv;
  std::vector<double> microseconds;
  long faults = 0;
  double per_second = 0;
};

double now_us() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;
}

/// In glibc, posix_spawn is vfork and exec. Standard output is discarded (set up once).
pid_t start(const Case& c) {
  pid_t pid = -1;
  const int error = posix_spawn(&pid, c.argv[0], nullptr, nullptr, c.argv.data(), environ);
  if (error != 0) {
    std::fprintf(stderr, "interleave: can't start %s: %s\n", c.argv[0], std::strerror(error));
    std::exit(1);
  }
  return pid;
}

void must_succeed(const Case& c, int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  std::fprintf(stderr, "interleave: %s ended with wait status %#x; by hand:", c.name.c_str(),
               static_cast<unsigned>(status));
  for (const char* word : c.argv)
    if (word != nullptr) std::fprintf(stderr, " %s", word);
  std::fprintf(stderr, "\n");
  std::exit(1);
}

double once(Case& c) {
  rusage used{};
  int status = 0;
  const double before = now_us();
  const pid_t pid = start(c);
  wait4(pid, &status, 0, &used);
  const double after = now_us();
  must_succeed(c, status);
  c.faults = used.ru_minflt;
  return after - before;
}

/// Launches per second in groups: starts all members of a group, then waits for all. In the
/// command, {size} is replaced by the number of members and {group} by a number that is unique
/// to the group, as ch-run --join needs them.
double group_throughput(const Case& c, int size, int total) {
  static int group = static_cast<int>(getpid()) * 100;
  const double before = now_us();
  int started = 0;
  for (; started < total; started += size) {
    ++group;
    Case member{c.name, {}, {}};
    std::vector<std::string> words;
    for (const char* word : c.argv)
      if (word != nullptr) {
        std::string text = word;
        for (const auto& [mark, number] : {std::pair("{size}", size), std::pair("{group}", group)})
          if (const auto at = text.find(mark); at != std::string::npos)
            text.replace(at, std::strlen(mark), std::to_string(number));
        words.push_back(text);
      }
    for (std::string& word : words) member.argv.push_back(word.data());
    member.argv.push_back(nullptr);
    for (int i = 0; i < size; ++i) start(member);
    for (int i = 0; i < size; ++i) {
      int status = 0;
      wait(&status);
      must_succeed(member, status);
    }
  }
  return started / (now_us() - before) * 1e6;
}

/// Launches per second with `at_once` in flight, over about `total` launches.
double throughput(const Case& c, int at_once, int total) {
  for (const char* word : c.argv)
    if (word != nullptr && std::strstr(word, "{group}") != nullptr)
      return group_throughput(c, at_once, total);
  int running = 0;
  const double before = now_us();
  for (int started = 0; started < total || running > 0;) {
    if (started < total && running < at_once) {
      start(c);
      ++started;
      ++running;
      continue;
    }
    int status = 0;
    wait(&status);
    must_succeed(c, status);
    --running;
  }
  return total / (now_us() - before) * 1e6;
}

double quantile(const std::vector<double>& sorted, double q) {
  const auto at = static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1) + 0.5);
  return sorted[at];
}

/// Nanoseconds of one CPUID instruction, which a hypervisor traps. A glibc program executes
/// dozens of them before main, so it starts more slowly in a virtual machine. 0: not x86-64.
double cpuid_ns() {
#if defined(__x86_64__)
  double best = 1e9;
  for (int i = 0; i < 200; ++i) {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    const double before = now_us();
    for (int n = 0; n < 10; ++n) __cpuid_count(0, 0, a, b, c, d);
    best = std::min(best, (now_us() - before) * 100);
  }
  return best;
#else
  return 0;
#endif
}

[[noreturn]] void refuse() {
  std::fputs(usage, stderr);
  std::exit(64);
}

struct Settings {
  int rounds = 500;
  int warm = 5;
  int cpu = 0;
  int at_once = 0;
  const char* json = nullptr;
  std::vector<Case> cases{};
};

Settings parse(int argc, char** argv) {
  Settings s;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--case") {
      if (i + 2 >= argc) refuse();
      s.cases.push_back({argv[i + 1], {}, {}});
      for (i += 2; i < argc && std::strcmp(argv[i], "--case") != 0; ++i)
        s.cases.back().argv.push_back(argv[i]);
      s.cases.back().argv.push_back(nullptr);
      --i;
    } else if (i + 1 < argc && word == "--rounds") {
      s.rounds = std::atoi(argv[++i]);
    } else if (i + 1 < argc && word == "--warm") {
      s.warm = std::atoi(argv[++i]);
    } else if (i + 1 < argc && word == "--cpu") {
      s.cpu = std::atoi(argv[++i]);
    } else if (i + 1 < argc && word == "--at-once") {
      s.at_once = std::atoi(argv[++i]);
    } else if (i + 1 < argc && word == "--json") {
      s.json = argv[++i];
    } else {
      refuse();
    }
  }
  if (s.cases.empty() || s.rounds < 1) refuse();
  return s;
}

/// Pins this process, and so its children, to one core.
bool pin(int cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(cpu), &one);
  return sched_setaffinity(0, sizeof one, &one) == 0;
}

void measure(Settings& s) {
  if (s.at_once > 0) {
    // The best of a few: other work on the machine can only make it worse.
    for (int repeat = 0; repeat < 5; ++repeat)
      for (Case& c : s.cases)
        c.per_second = std::max(c.per_second, throughput(c, s.at_once, s.rounds));
    return;
  }
  std::vector<Case*> order;
  for (Case& c : s.cases) order.push_back(&c);
  std::minstd_rand random;  // the same orders in every run
  for (int round = -s.warm; round < s.rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    for (Case* c : order) {
      const double taken = once(*c);
      if (round >= 0) c->microseconds.push_back(taken);
    }
  }
  for (Case& c : s.cases) std::sort(c.microseconds.begin(), c.microseconds.end());
}

void write_report(std::FILE* out, const Settings& s, double cpuid) {
  if (s.at_once > 0) {
    std::fprintf(out, "%d at once, launches per second\n", s.at_once);
    for (const Case& c : s.cases) std::fprintf(out, "%-26s %9.0f\n", c.name.c_str(), c.per_second);
    return;
  }
  std::fprintf(out, "%d interleaved rounds on core %d; microseconds; one CPUID %.1f us\n", s.rounds,
               s.cpu, cpuid / 1000);
  std::fprintf(out, "%-26s %9s %9s %9s   %-19s %7s\n", "", "minimum", "median", "p99",
               "overhead min/median", "faults");
  const auto& base = s.cases[0].microseconds;
  for (const Case& c : s.cases) {
    const auto& t = c.microseconds;
    const double median = quantile(t, 0.5);
    std::fprintf(out, "%-26s %9.1f %9.1f %9.1f   %8.1f %8.1f   %7ld\n", c.name.c_str(), t.front(),
                 median, quantile(t, 0.99), t.front() - base.front(), median - quantile(base, 0.5),
                 c.faults);
  }
}

void write_json(std::FILE* out, const Settings& s, double cpuid) {
  std::fprintf(out,
               "{\"rounds\": %d, \"cpu\": %d, \"at_once\": %d, \"cpuid_ns\": %.0f, \"cases\": [",
               s.rounds, s.at_once > 0 ? -1 : s.cpu, s.at_once, cpuid);
  const auto& base = s.cases[0].microseconds;
  const char* separator = "";
  for (const Case& c : s.cases) {
    if (s.at_once > 0) {
      std::fprintf(out, "%s\n {\"name\": \"%s\", \"per_second\": %.1f}", separator, c.name.c_str(),
                   c.per_second);
    } else {
      const auto& t = c.microseconds;
      const double median = quantile(t, 0.5);
      std::fprintf(out,
                   "%s\n {\"name\": \"%s\", \"minimum\": %.2f, \"median\": %.2f, \"p99\": %.2f, "
                   "\"overhead_minimum\": %.2f, \"overhead_median\": %.2f, \"faults\": %ld}",
                   separator, c.name.c_str(), t.front(), median, quantile(t, 0.99),
                   t.front() - base.front(), median - quantile(base, 0.5), c.faults);
    }
    separator = ",";
  }
  std::fprintf(out, "\n]}\n");
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings = parse(argc, argv);
  if (settings.cpu >= 0 && settings.at_once == 0 && !pin(settings.cpu)) {
    std::perror("interleave: can't pin to the core that --cpu names");
    return 1;
  }
  const double cpuid = cpuid_ns();
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);  // all start with the same descriptors
  // The programs' output is discarded; our own goes to the original standard output.
  const int out = fcntl(1, F_DUPFD_CLOEXEC, 3);
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  dup2(nowhere, 1);
  std::FILE* report = fdopen(out, "w");

  measure(settings);

  std::FILE* json = settings.json == nullptr ? nullptr : std::fopen(settings.json, "we");
  if (settings.json != nullptr && json == nullptr) {
    std::perror("interleave: can't write the JSON file");
    return 1;
  }
  write_report(report, settings, cpuid);
  if (json != nullptr) {
    write_json(json, settings, cpuid);
    std::fclose(json);
  }
  std::fclose(report);
  return 0;
}
