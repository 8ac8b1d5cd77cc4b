// SPDX-License-Identifier: Apache-2.0
//
//   overhead [--rounds N] [--cpu N] [--creator-cpu N] [--json FILE] CH-RUN IMAGE COMMAND
//
// Compares the costs of joining and creating, in microseconds. COMMAND is the path in IMAGE of
// a static program. It runs by itself on the host ("bare"), in its own container, and as the
// second of a group of two whose creator has made the container and sleeps until the other
// arrives. All take turns, so that a busy machine affects all; overhead is time minus that of
// the command by itself.
//
// There are two measures. From start to end: for a joiner this includes waking its creator and
// waiting for the reply; for a creator in a group it means nothing, since the creator waits for
// others. And CPU time: what each process uses itself. The joiner's overhead is compared with
// that of a creator without peers, the least that a creator can use.
//
// All are pinned to one core, as in the launch benchmark; --creator-cpu puts the creators that
// joiners meet on another core, where it takes an interrupt to wake them.
// The last lines show the plan's steps alone, as measured by --time-steps, without starting
// ch-run.

#include <sched.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

extern char** environ;

namespace {

using Clock = std::chrono::steady_clock;
using Words = std::vector<std::string>;

/// Starts the program on core `cpu`, and moves this process to it, too.
pid_t start(int cpu, const Words& argv, const posix_spawn_file_actions_t* actions = nullptr) {
  std::vector<char*> words;
  for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(cpu), &one);
  pid_t pid = 0;
  if (sched_setaffinity(0, sizeof one, &one) != 0 ||
      posix_spawn(&pid, words[0], actions, nullptr, words.data(), environ) != 0) {
    std::perror("overhead: can't start a program on this core");
    std::exit(1);
  }
  return pid;
}

/// Waits for the process to end; returns the resources it has used.
rusage finish(pid_t pid) {
  int status = 0;
  rusage used{};
  if (wait4(pid, &status, 0, &used) != pid || status != 0) {
    std::fprintf(stderr, "overhead: a program failed\n");
    std::exit(1);
  }
  return used;
}

/// CPU time in microseconds.
double cpu_time(const rusage& used) {
  const auto us = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec);
  };
  return us(used.ru_utime) + us(used.ru_stime);
}

/// The time of all steps as reported by --time-steps, in microseconds.
double steps(int cpu, const Words& argv) {
  int ends[2];
  if (pipe(ends) != 0) std::exit(1);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
  const pid_t pid = start(cpu, argv, &actions);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  (void)finish(pid);
  const auto line = text.rfind('\n', text.rfind(" us  total without the execve"));
  return std::atof(text.c_str() + (line == std::string::npos ? 0 : line + 1));
}

/// Waits until the process sleeps interruptibly: then the creator has made its container and
/// waits for its peers. Its earlier waits are uninterruptible.
void await_sleep(pid_t pid) {
  for (char state = 'R'; state != 'S';) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(file, text);
    const auto at = text.rfind(')');
    state = at == std::string::npos ? 'S' : text[at + 2];
  }
}

struct Figures {
  std::vector<double> all{};
  [[nodiscard]] double low() const { return all.front(); }
  [[nodiscard]] double median() const { return all[all.size() / 2]; }
  [[nodiscard]] double p99() const { return all[all.size() * 99 / 100]; }
  void sort() { std::sort(all.begin(), all.end()); }
};

/// One way of starting the command.
struct Way {
  const char* name;
  const char* row;  // in the launch benchmark's report
  Figures wall{};
  Figures cpu{};
  long faults = 0;

  void measure(int core, const Words& argv) {
    const auto begun = Clock::now();
    note(finish(start(core, argv)));
    wall.all.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begun).count());
  }
  void note(const rusage& used) {
    cpu.all.push_back(cpu_time(used));
    faults = used.ru_minflt;
  }
  void print() const {
    std::printf("%-28s", name);
    if (wall.all.empty())
      std::printf(" %8s %8s", "", "");
    else
      std::printf(" %8.0f %8.0f", wall.low(), wall.median());
    std::printf(" %8.0f %8.0f %7ld\n", cpu.low(), cpu.median(), faults);
  }
};

void write_case(std::FILE* out, const Way& way, const Way& bare) {
  std::fprintf(out, "\n {\"name\": \"%s\", \"faults\": %ld", way.row, way.faults);
  const auto figures = [&](const char* prefix, const Figures& f, const Figures& base) {
    std::fprintf(out,
                 ", \"%sminimum\": %.2f, \"%smedian\": %.2f, \"%sp99\": %.2f, "
                 "\"%soverhead_minimum\": %.2f, \"%soverhead_median\": %.2f",
                 prefix, f.low(), prefix, f.median(), prefix, f.p99(), prefix, f.low() - base.low(),
                 prefix, f.median() - base.median());
  };
  if (!way.wall.all.empty()) figures("", way.wall, bare.wall);
  figures("cpu_", way.cpu, bare.cpu);
  std::fprintf(out, "}");
}

[[noreturn]] void refuse() {
  std::fputs(
      "usage: overhead [--rounds N] [--cpu N] [--creator-cpu N] [--json FILE]\n"
      "                CH-RUN IMAGE COMMAND\n",
      stderr);
  std::exit(64);
}

/// The last core that this process may use.
int last_core() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 0;
  int last = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &allowed)) last = cpu;
  return last;
}

struct Settings {
  int rounds = 300;
  int cpu = last_core();
  int creator_cpu = -1;
  const char* json = nullptr;
  std::string run{};
  std::string image{};
  std::string command{};
};

Settings parse(int argc, char** argv) {
  Settings s;
  Words operands;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool option = word.rfind("--", 0) == 0;
    if (option && i + 1 >= argc) refuse();
    if (word == "--rounds")
      s.rounds = std::atoi(argv[++i]);
    else if (word == "--cpu")
      s.cpu = std::atoi(argv[++i]);
    else if (word == "--creator-cpu")
      s.creator_cpu = std::atoi(argv[++i]);
    else if (word == "--json")
      s.json = argv[++i];
    else if (option)
      refuse();
    else
      operands.push_back(word);
  }
  if (operands.size() != 3 || s.rounds < 1) refuse();
  if (s.creator_cpu < 0) s.creator_cpu = s.cpu;
  s.run = operands[0];
  s.image = operands[1];
  s.command = operands[2];
  return s;
}

struct Results {
  Way bare{"the command alone", "bare exec"};
  Way alone{"in a container of its own", "ch-run, alone"};
  Way creator{"creating one for two", "ch-run --join, creator"};
  Way joiner{"joining a container", "ch-run --join, joiner"};
  Figures own_steps{};
  Figures join_steps{};
};

Results measure(const Settings& s) {
  const std::string tag = "--join-tag=overhead-" + std::to_string(getpid());
  const Words alone_words = {s.run, s.image, "--", s.command};
  const Words group_words = {s.run, tag, "--join-ct=2", s.image, "--", s.command};
  Results r;
  for (int i = 0; i < s.rounds; ++i) {
    r.bare.measure(s.cpu, {s.image + s.command});
    r.alone.measure(s.cpu, alone_words);
    const pid_t first = start(s.creator_cpu, group_words);
    await_sleep(first);
    r.joiner.measure(s.cpu, group_words);
    r.creator.note(finish(first));
    r.own_steps.all.push_back(steps(s.cpu, {s.run, "--time-steps", s.image, "--", s.command}));
    const pid_t other = start(s.creator_cpu, group_words);
    await_sleep(other);
    r.join_steps.all.push_back(
        steps(s.cpu, {s.run, tag, "--time-steps", "--join-ct=2", s.image, "--", s.command}));
    (void)finish(other);
  }
  for (Way* way : {&r.bare, &r.alone, &r.creator, &r.joiner}) {
    way->wall.sort();
    way->cpu.sort();
  }
  r.own_steps.sort();
  r.join_steps.sort();
  return r;
}

void print(const Settings& s, const Results& r) {
  std::printf("%d interleaved rounds on core %d, creators that are joined on core %d\n", s.rounds,
              s.cpu, s.creator_cpu);
  std::printf("%-28s %17s %17s\n%-28s %8s %8s %8s %8s %7s\n", "microseconds", "start to end",
              "CPU time", "", "minimum", "median", "minimum", "median", "faults");
  for (const Way* way : {&r.bare, &r.alone, &r.creator, &r.joiner}) way->print();
  const auto part = [](double b, double a, double j) { return (j - b) / (a - b); };
  std::printf("%-28s %8.2f %8.2f %8.2f %8.2f\n", "overhead, joining / creating",
              part(r.bare.wall.low(), r.alone.wall.low(), r.joiner.wall.low()),
              part(r.bare.wall.median(), r.alone.wall.median(), r.joiner.wall.median()),
              part(r.bare.cpu.low(), r.alone.cpu.low(), r.joiner.cpu.low()),
              part(r.bare.cpu.median(), r.alone.cpu.median(), r.joiner.cpu.median()));
  std::printf("%-28s %8.0f %8.0f\n%-28s %8.0f %8.0f\n%-28s %8.2f %8.2f\n", "steps, creating",
              r.own_steps.low(), r.own_steps.median(), "steps, joining", r.join_steps.low(),
              r.join_steps.median(), "joining / creating", r.join_steps.low() / r.own_steps.low(),
              r.join_steps.median() / r.own_steps.median());
}

bool write_json(const Settings& s, const Results& r) {
  std::FILE* out = std::fopen(s.json, "we");
  if (out == nullptr) {
    std::perror("overhead: can't write the JSON file");
    return false;
  }
  std::fprintf(out, "{\"rounds\": %d, \"cpu\": %d, \"creator_cpu\": %d, \"cases\": [", s.rounds,
               s.cpu, s.creator_cpu);
  const char* separator = "";
  for (const Way* way : {&r.bare, &r.alone, &r.creator, &r.joiner}) {
    std::fprintf(out, "%s", separator);
    write_case(out, *way, r.bare);
    separator = ",";
  }
  std::fprintf(out, "\n]}\n");
  return std::fclose(out) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings = parse(argc, argv);
  const Results results = measure(settings);
  print(settings, results);
  return settings.json == nullptr || write_json(settings, results) ? 0 : 1;
}
