// SPDX-License-Identifier: Apache-2.0
//
// What ranks on one machine do to one another, as a static program for any image: offer
// memory and wait (hold), read another's memory without its help, as MPI does for large
// messages (read), and stop another as a debugger does (trace).

#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

static char memory[64] = "hello from another address space";

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  if (std::strcmp(what, "hold") == 0) {
    std::printf("%d %p\n", getpid(), static_cast<void*>(memory));
    std::fflush(stdout);
    pause();
  }
  if (std::strcmp(what, "read") == 0 && argc > 3) {
    char copy[sizeof memory] = {};
    iovec local{copy, sizeof copy};
    iovec remote{reinterpret_cast<void*>(std::strtoull(argv[3], nullptr, 16)), sizeof copy};
    if (process_vm_readv(std::atoi(argv[2]), &local, 1, &remote, 1, 0) < 0)
      return std::printf("%s\n", std::strerror(errno)), 1;
    return std::printf("%s\n", copy), 0;
  }
  if (std::strcmp(what, "trace") == 0 && argc > 2) {
    const pid_t pid = std::atoi(argv[2]);
    if (ptrace(PTRACE_ATTACH, pid, nullptr, nullptr) != 0)
      return std::printf("%s\n", std::strerror(errno)), 1;
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) return 1;
    const long word = ptrace(PTRACE_PEEKDATA, pid, std::strtoull(argv[3], nullptr, 16), nullptr);
    ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
    return std::printf("attached, reads %.5s\n", reinterpret_cast<const char*>(&word)), 0;
  }
  return 2;
}
