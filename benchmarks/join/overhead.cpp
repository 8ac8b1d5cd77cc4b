// SPDX-License-Identifier: Apache-2.0
//
//   overhead [--rounds N] [--cpu N] [--creator-cpu N] [--json FILE] CH-RUN IMAGE COMMAND
//
// What joining costs beside creating: microseconds of COMMAND (a static program at this
// path in IMAGE and, for the bare figure, of IMAGE on the host) by itself, in a container
// of its own, and as the second of a group of two whose creator has made the container and
// sleeps until the other comes. All take turns, so that a noisy machine disturbs all; overhead
// is time minus that of the command by itself.
//
// Two measures. From start to end: a joiner wakes its creator and waits for the answer, and
// this is part of it; that of a creator in a group says nothing, it waits for others. And the
// time of the processor: what each of them spends itself. The joiner's overhead is compared
// with that of a creator that has nobody to meet, the least that a creator spends.
//
// All are pinned to one core, as in the launch benchmark; --creator-cpu puts the creators
// that joiners find on another, where it takes an interrupt to wake them.
// The last lines have the plan's steps alone, as --time-steps has them: without what it
// takes to start ch-run at all.

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

/// Starts the program on this core, and what we do ourselves with it.
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

/// Waits for the end; answers what it has used.
rusage finish(pid_t pid) {
  int status = 0;
  rusage used{};
  if (wait4(pid, &status, 0, &used) != pid || status != 0) {
    std::fprintf(stderr, "overhead: a program failed\n");
    std::exit(1);
  }
  return used;
}

/// Microseconds of the processor.
double processor(const rusage& used) {
  const auto us = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec);
  };
  return us(used.ru_utime) + us(used.ru_stime);
}

/// What --time-steps says that all steps took, in microseconds.
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

/// Waits until the process sleeps, that is, until the creator has made its container and
/// waits for others: what it waits for before is no sleep that a signal ends.
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
    cpu.all.push_back(processor(used));
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

/// The last core that we may use.
int last_core() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 0;
  int last = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &allowed)) last = cpu;
  return last;
}

}  // namespace

int main(int argc, char** argv) {
  int rounds = 300;
  int cpu = last_core();
  int creator_cpu = -1;
  const char* json = nullptr;
  Words operands;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool option = word.rfind("--", 0) == 0;
    if (option && i + 1 >= argc) refuse();
    if (word == "--rounds")
      rounds = std::atoi(argv[++i]);
    else if (word == "--cpu")
      cpu = std::atoi(argv[++i]);
    else if (word == "--creator-cpu")
      creator_cpu = std::atoi(argv[++i]);
    else if (word == "--json")
      json = argv[++i];
    else if (option)
      refuse();
    else
      operands.push_back(word);
  }
  if (operands.size() != 3 || rounds < 1) refuse();
  if (creator_cpu < 0) creator_cpu = cpu;
  const std::string run = operands[0];
  const std::string image = operands[1];
  const std::string command = operands[2];
  const std::string tag = "--join-tag=overhead-" + std::to_string(getpid());
  const Words alone_words = {run, image, "--", command};
  const Words group_words = {run, tag, "--join-ct=2", image, "--", command};

  Way bare{"the command alone", "bare exec"};
  Way alone{"in a container of its own", "ch-run, alone"};
  Way creator{"creating one for two", "ch-run --join, creator"};
  Way joiner{"joining a container", "ch-run --join, joiner"};
  Figures own_steps;
  Figures join_steps;
  for (int i = 0; i < rounds; ++i) {
    bare.measure(cpu, {image + command});
    alone.measure(cpu, alone_words);
    const pid_t first = start(creator_cpu, group_words);
    await_sleep(first);
    joiner.measure(cpu, group_words);
    creator.note(finish(first));
    own_steps.all.push_back(steps(cpu, {run, "--time-steps", image, "--", command}));
    const pid_t other = start(creator_cpu, group_words);
    await_sleep(other);
    join_steps.all.push_back(
        steps(cpu, {run, tag, "--time-steps", "--join-ct=2", image, "--", command}));
    (void)finish(other);
  }
  for (Way* way : {&bare, &alone, &creator, &joiner}) {
    way->wall.sort();
    way->cpu.sort();
  }
  own_steps.sort();
  join_steps.sort();

  std::printf("%d interleaved rounds on core %d, creators that are joined on core %d\n", rounds,
              cpu, creator_cpu);
  std::printf("%-28s %17s %17s\n%-28s %8s %8s %8s %8s %7s\n", "microseconds", "start to end",
              "processor", "", "minimum", "median", "minimum", "median", "faults");
  for (const Way* way : {&bare, &alone, &creator, &joiner}) way->print();
  const auto part = [](double b, double a, double j) { return (j - b) / (a - b); };
  std::printf("%-28s %8.2f %8.2f %8.2f %8.2f\n", "overhead, joining / creating",
              part(bare.wall.low(), alone.wall.low(), joiner.wall.low()),
              part(bare.wall.median(), alone.wall.median(), joiner.wall.median()),
              part(bare.cpu.low(), alone.cpu.low(), joiner.cpu.low()),
              part(bare.cpu.median(), alone.cpu.median(), joiner.cpu.median()));
  std::printf("%-28s %8.0f %8.0f\n%-28s %8.0f %8.0f\n%-28s %8.2f %8.2f\n", "steps, creating",
              own_steps.low(), own_steps.median(), "steps, joining", join_steps.low(),
              join_steps.median(), "joining / creating", join_steps.low() / own_steps.low(),
              join_steps.median() / own_steps.median());
  if (json == nullptr) return 0;
  std::FILE* out = std::fopen(json, "we");
  if (out == nullptr) {
    std::perror("overhead: can't write the JSON file");
    return 1;
  }
  std::fprintf(out, "{\"rounds\": %d, \"cpu\": %d, \"creator_cpu\": %d, \"cases\": [", rounds, cpu,
               creator_cpu);
  const char* separator = "";
  for (const Way* way : {&bare, &alone, &creator, &joiner}) {
    std::fprintf(out, "%s", separator);
    write_case(out, *way, bare);
    separator = ",";
  }
  std::fprintf(out, "\n]}\n");
  return std::fclose(out) == 0 ? 0 : 1;
}
