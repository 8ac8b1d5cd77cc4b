// SPDX-License-Identifier: Apache-2.0
//
//   spawn_cost COMMAND [GIB...]
//
// What it costs to start COMMAND from a program of a given size, in microseconds until it has
// ended: with ch::spawn into new user and mount namespaces; with the same kernel calls and
// nothing else; with only clone(CLONE_VM | CLONE_VFORK) and the same namespaces; and, without
// namespaces, with posix_spawn and with fork and exec. Each size is memory that has been written
// to. Interleaved rounds. Writes JSON, one object per line.

#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "ch/launch.hpp"

extern char** environ;

namespace {

using Namespaces = ch::NamespaceSet<ch::ns::user, ch::ns::mount>;
using Box = ch::Container<Namespaces>;

char* const* command = nullptr;

double now_us() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;
}

[[noreturn]] void stop(const char* what) {
  std::fprintf(stderr, "spawn_cost: %s failed\n", what);
  std::exit(1);
}

void reap(pid_t pid, const char* what) {
  int status = 0;
  if (waitpid(pid, &status, 0) != pid || status != 0) stop(what);
}

void by_library() {
  ch::kernel::Linux kernel;
  static ch::ArenaOf<128 * 1024> storage;
  ch::Arena arena({reinterpret_cast<std::byte*>(&storage), sizeof storage});
  const auto ended = ch::run(kernel, Box{}, {command[0], command, environ}, arena);
  if (!ended || ended->code != 0) stop("ch::run");
}

/// The child of by_kernel: the same calls with ready-made arguments.
struct Calls {
  bool map = false;
  std::string uid_map{};
  std::string gid_map{};
};

void put(const char* path, const char* text, std::size_t size) {
  ch::kernel::Linux k;
  const auto fd = ch::kernel::openat(k, ch::kernel::Fd::cwd, path, ch::kernel::o_wronly);
  (void)ch::kernel::write(k, fd.value(), text, size);
  (void)ch::kernel::close(k, fd.value());
}

long child(void* self) noexcept {
  const auto& calls = *static_cast<const Calls*>(self);
  ch::kernel::Linux k;
  if (calls.map) {
    std::uint64_t none = 0;
    (void)ch::kernel::sigprocmask(k, ch::kernel::sig_setmask, &none, nullptr);
    put("/proc/self/setgroups", "deny", 4);
    put("/proc/self/uid_map", calls.uid_map.data(), calls.uid_map.size());
    put("/proc/self/gid_map", calls.gid_map.data(), calls.gid_map.size());
    (void)ch::kernel::prctl(k, ch::kernel::pr_set_no_new_privs, 1);
    (void)ch::kernel::close_range(k, 3, ~0U, ch::kernel::close_range_cloexec);
  }
  (void)ch::kernel::execve(k, command[0], command, environ);
  return 127;
}

void by_kernel(const Calls& calls) {
  alignas(16) static std::byte stack[64 * 1024];
  ch::kernel::CloneArgs args;
  args.flags = ch::kernel::clone_vm | ch::kernel::clone_vfork | ch::kernel::clone_clear_sighand |
               ch::kernel::clone_newuser | ch::kernel::clone_newns;
  args.exit_signal = SIGCHLD;
  args.stack = reinterpret_cast<std::uint64_t>(stack);
  args.stack_size = sizeof stack;
  const auto pid = ch::kernel::clone3(args, &child, const_cast<Calls*>(&calls));
  if (!pid.ok()) stop("clone3");
  reap(static_cast<pid_t>(pid.value()), "the cloned child");
}

void by_posix_spawn() {
  pid_t pid = 0;
  if (posix_spawn(&pid, command[0], nullptr, nullptr, command, environ) != 0) stop("posix_spawn");
  reap(pid, "posix_spawn's child");
}

void by_fork() {
  const pid_t pid = fork();
  if (pid < 0) stop("fork");
  if (pid == 0) {
    execve(command[0], command, environ);
    _exit(127);
  }
  reap(pid, "the forked child");
}

template <class Start>
double timed(Start start) {
  const double before = now_us();
  start();
  return now_us() - before;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: spawn_cost COMMAND [GIB...]\n", stderr);
    return 64;
  }
  char* words[] = {argv[1], nullptr};
  command = words;
  std::vector<double> sizes;
  for (int i = 2; i < argc; ++i) sizes.push_back(std::atof(argv[i]));
  if (sizes.empty()) sizes.push_back(0);

  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(sched_getcpu()), &one);
  (void)sched_setaffinity(0, sizeof one, &one);

  Calls same;
  same.map = true;
  same.uid_map = std::to_string(geteuid()) + " " + std::to_string(geteuid()) + " 1\n";
  same.gid_map = std::to_string(getegid()) + " " + std::to_string(getegid()) + " 1\n";
  const Calls none;

  std::size_t held = 0;
  for (const double gib : sizes) {
    const auto wanted = static_cast<std::size_t>(gib * 1024) << 20;
    if (wanted > held) {
      void* memory = mmap(nullptr, wanted - held, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
      if (memory == MAP_FAILED) stop("mmap");
      held = wanted;
    }
    constexpr const char* names[] = {"ch::spawn", "same calls", "bare clone", "posix_spawn",
                                     "fork"};
    std::vector<double> times[5];
    for (int round = -3; round < 300; ++round) {
      const double taken[] = {timed(by_library), timed([&] { by_kernel(same); }),
                              timed([&] { by_kernel(none); }), timed(by_posix_spawn)};
      for (std::size_t i = 0; i < 4 && round >= 0; ++i) times[i].push_back(taken[i]);
    }
    // Not interleaved: after a fork, each page that is written to must be copied first.
    for (int round = 0; round < (gib >= 1 ? 20 : 300); ++round) times[4].push_back(timed(by_fork));
    for (std::size_t i = 0; i < 5; ++i) {
      std::sort(times[i].begin(), times[i].end());
      std::printf("{\"gib\": %g, \"name\": \"%s\", \"minimum\": %.1f, \"median\": %.1f}\n", gib,
                  names[i], times[i].front(), times[i][times[i].size() / 2]);
    }
    std::fflush(stdout);
  }
  return 0;
}
