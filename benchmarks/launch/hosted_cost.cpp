// SPDX-License-Identifier: Apache-2.0
//
//   hosted_cost IMAGE COMMAND [ROUNDS]
//
// What the hosted API costs on top of the launch path. Runs COMMAND, a path in the image, in the
// container that ch-run makes, alternately with the hosted ch::run of a box and with the
// freestanding integrate and run, and reports microseconds from start to end. Then starts 1000
// programs from 8 threads with ch::run, and /bin/true on the host with posix_spawn. Writes JSON,
// one object per line.

#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <ctime>
#include <thread>

#include "ch/run.hpp"

namespace {

double now_us() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;
}

[[noreturn]] void stop(const char* what) {
  std::fprintf(stderr, "hosted_cost: %s failed\n", what);
  std::exit(1);
}

void freestanding(const char* image, const char* program) {
  static ch::ArenaOf<std::size_t{1} << 20> storage;
  ch::Arena arena({reinterpret_cast<std::byte*>(&storage), sizeof storage});
  ch::kernel::Linux k;
  ch::Environment environment(arena, environ);
  ch::HostIntegrated made;
  const char* const command[] = {program, nullptr};
  const auto problem = ch::integrate(
      k, ch::probe(k), {.image = ch::HostPath(image), .command = command}, environment, made);
  if (!problem.ok()) stop("integrate");
  const auto ended = ch::run(k, made.container, made.program, arena);
  if (!ended || ended->shell_status() != 0) stop("the freestanding run");
}

template <class Start>
double timed(Start start) {
  const double before = now_us();
  start();
  return now_us() - before;
}

/// Programs per second, for 1000 programs started from 8 threads.
template <class Start>
double throughput(Start start) {
  constexpr int all = 1000;
  std::atomic<int> next{0};
  const double before = now_us();
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      while (next++ < all) start();
    });
  for (auto& thread : threads) thread.join();
  return all / (now_us() - before) * 1e6;
}

void print(const char* name, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  std::printf("{\"name\": \"%s\", \"minimum\": %.1f, \"median\": %.1f}\n", name, times.front(),
              times[times.size() / 2]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: hosted_cost IMAGE COMMAND [ROUNDS]\n", stderr);
    return 64;
  }
  const int rounds = argc > 3 ? std::atoi(argv[3]) : 300;
  const auto box = ch::host_integrated(argv[1]);
  const ch::Command command{argv[2]};
  const auto hosted = [&] {
    const auto end = ch::run(box, command);
    if (!end || end->shell_status() != 0) stop("ch::run");
  };
  std::vector<double> times[2];
  for (int round = -3; round < rounds; ++round) {
    const bool swap = round % 2 != 0;  // so that neither always runs second
    const double first = timed([&] { swap ? hosted() : freestanding(argv[1], argv[2]); });
    const double second = timed([&] { swap ? freestanding(argv[1], argv[2]) : hosted(); });
    if (round < 0) continue;
    times[0].push_back(swap ? second : first);
    times[1].push_back(swap ? first : second);
  }
  print("freestanding", times[0]);
  print("hosted", times[1]);
  std::printf("{\"name\": \"1000 by ch::run\", \"per_second\": %.0f}\n", throughput(hosted));
  std::printf("{\"name\": \"1000 by posix_spawn\", \"per_second\": %.0f}\n", throughput([] {
                char name[] = "/bin/true";
                char* words[] = {name, nullptr};
                pid_t pid = 0;
                int status = 0;
                if (posix_spawn(&pid, words[0], nullptr, nullptr, words, environ) != 0 ||
                    waitpid(pid, &status, 0) != pid)
                  stop("posix_spawn");
              }));
  return 0;
}
