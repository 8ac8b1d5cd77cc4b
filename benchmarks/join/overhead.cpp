// SPDX-License-Identifier: Apache-2.0
//
//   overhead CH-RUN IMAGE COMMAND [ROUNDS]
//
// What joining costs beside creating: microseconds of COMMAND (a static program at this
// path in IMAGE and, for the bare figure, of IMAGE on the host) by itself, in a container
// of its own, and as the second of a group of two whose creator waits. Both the time from
// start to end, which includes the creator's waking up, and that of the processor alone.
// The three take turns, so that a noisy machine disturbs all; lowest and median. Then the
// joiner's overhead as a part of the creator's: of the whole program, much of which is to
// start ch-run at all, and of the plan's steps alone, as --time-steps has them.

#include <fcntl.h>
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

pid_t start(const std::vector<std::string>& argv,
            const posix_spawn_file_actions_t* actions = nullptr) {
  std::vector<char*> words;
  for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_t pid = 0;
  if (posix_spawn(&pid, words[0], actions, nullptr, words.data(), environ) != 0) std::exit(1);
  return pid;
}

/// Waits for the end; answers microseconds of the processor.
double finish(pid_t pid) {
  int status = 0;
  rusage used{};
  if (wait4(pid, &status, 0, &used) != pid || status != 0) {
    std::fprintf(stderr, "overhead: a program failed\n");
    std::exit(1);
  }
  const auto us = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec);
  };
  return us(used.ru_utime) + us(used.ru_stime);
}

/// What --time-steps says that all steps took, in microseconds.
double steps(const std::vector<std::string>& argv) {
  int ends[2];
  if (pipe(ends) != 0) std::exit(1);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
  const pid_t pid = start(argv, &actions);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  (void)finish(pid);
  const auto line = text.rfind('\n', text.rfind(" us  all but the execution"));
  return std::atof(text.c_str() + (line == std::string::npos ? 0 : line + 1));
}

/// Does the process sleep in poll, that is, has the creator made its container?
bool waits(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/syscall");
  long number = -1;
  file >> number;
#if defined(__x86_64__)
  return number == 271;  // ppoll
#else
  return number == 73;
#endif
}

struct Figures {
  std::vector<double> all;
  [[nodiscard]] double low() const { return all.front(); }
  [[nodiscard]] double median() const { return all[all.size() / 2]; }
};

/// One way of starting the command.
struct Way {
  const char* name;
  Figures wall{};
  Figures cpu{};

  void measure(const std::vector<std::string>& argv) {
    const auto begun = Clock::now();
    cpu.all.push_back(finish(start(argv)));
    wall.all.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begun).count());
  }
  void print() {
    for (Figures* f : {&wall, &cpu}) std::sort(f->all.begin(), f->all.end());
    std::printf("%-26s %8.0f %8.0f %8.0f %8.0f\n", name, wall.low(), wall.median(), cpu.low(),
                cpu.median());
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: overhead CH-RUN IMAGE COMMAND [ROUNDS]\n");
    return 64;
  }
  const std::string run = argv[1];
  const std::string image = argv[2];
  const std::string command = argv[3];
  const int rounds = argc > 4 ? std::atoi(argv[4]) : 300;
  const std::string tag = "--join-tag=overhead-" + std::to_string(getpid());
  Way bare{"the command alone"};
  Way alone{"in a container of its own"};
  Way joiner{"joining a container"};
  Figures own_steps;
  Figures join_steps;
  for (int i = 0; i < rounds; ++i) {
    bare.measure({image + command});
    alone.measure({run, image, "--", command});
    const pid_t creator = start({run, tag, "--join-ct=2", image, "--", command});
    while (!waits(creator)) std::this_thread::sleep_for(std::chrono::microseconds(200));
    joiner.measure({run, tag, "--join-ct=2", image, "--", command});
    (void)finish(creator);
    own_steps.all.push_back(steps({run, "--time-steps", image, "--", command}));
    const pid_t other = start({run, tag, "--join-ct=2", image, "--", command});
    while (!waits(other)) std::this_thread::sleep_for(std::chrono::microseconds(200));
    join_steps.all.push_back(
        steps({run, tag, "--time-steps", "--join-ct=2", image, "--", command}));
    (void)finish(other);
  }
  std::printf(
      "microseconds                 start to end       processor\n"
      "                                low   median      low   median\n");
  for (Way* way : {&bare, &alone, &joiner}) way->print();
  const auto part = [](double b, double a, double j) { return (j - b) / (a - b); };
  std::printf("%-26s %8.2f %8.2f %8.2f %8.2f\n", "joining / creating",
              part(bare.wall.low(), alone.wall.low(), joiner.wall.low()),
              part(bare.wall.median(), alone.wall.median(), joiner.wall.median()),
              part(bare.cpu.low(), alone.cpu.low(), joiner.cpu.low()),
              part(bare.cpu.median(), alone.cpu.median(), joiner.cpu.median()));
  for (Figures* f : {&own_steps, &join_steps}) std::sort(f->all.begin(), f->all.end());
  std::printf("%-26s %8.0f %8.0f\n%-26s %8.0f %8.0f\n%-26s %8.2f %8.2f\n", "steps, creating",
              own_steps.low(), own_steps.median(), "steps, joining", join_steps.low(),
              join_steps.median(), "joining / creating", join_steps.low() / own_steps.low(),
              join_steps.median() / own_steps.median());
  return 0;
}
