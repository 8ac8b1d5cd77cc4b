// SPDX-License-Identifier: Apache-2.0
//
//   adversary swap DIR TARGET     exchanges each name in DIR with a link to TARGET, and back
//   adversary squat DIR NAME...   takes these names first: as link, file, FIFO, directory
//   adversary lock DIR            locks whatever can be opened in DIR
//   adversary fill DIR            fills the file system of DIR, and makes room again
//   adversary sockets             squats on and connects to each abstract socket of ours
//
// A malicious user of the machine: does this without pause until SIGTERM, then prints
// how often. Does not use the library. Source: man 2 renameat2, flock; man 7 unix.

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

volatile std::sig_atomic_t ended = 0;

std::vector<std::string> names_in(int directory) {
  std::vector<std::string> names;
  DIR* stream = ::fdopendir(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (stream == nullptr) return names;
  while (const dirent* entry = ::readdir(stream))
    if (entry->d_name[0] != '.' || (entry->d_name[1] != '\0' && entry->d_name[1] != '.'))
      names.emplace_back(entry->d_name);
  ::closedir(stream);
  return names;
}

/// A name is a link for a few rounds, then is restored; at times it is missing.
long swap(int directory, const char* target) {
  long count = 0;
  for (unsigned turn = 0; ended == 0; ++turn) {
    for (const std::string& name : names_in(directory)) {
      if (name.starts_with("decoy")) continue;
      const std::string decoy = "decoy." + name;
      (void)::symlinkat(target, directory, decoy.c_str());
      for (unsigned look = 0; look < 1 + turn % 4; ++look)
        if (::renameat2(directory, name.c_str(), directory, decoy.c_str(), RENAME_EXCHANGE) == 0)
          ++count;
      if (turn % 512 != 511) continue;
      const std::string away = "decoy.away." + name;
      if (::renameat2(directory, name.c_str(), directory, away.c_str(), RENAME_NOREPLACE) != 0)
        continue;
      ++count;
      ::usleep(turn % 64);
      (void)::renameat2(directory, away.c_str(), directory, name.c_str(), RENAME_NOREPLACE);
    }
  }
  return count;
}

long squat(int directory, std::vector<std::string> names) {
  long count = 0;
  for (unsigned turn = 0; ended == 0; ++turn)
    for (const std::string& name : names) {
      const char* n = name.c_str();
      const bool made = turn % 4 == 0   ? ::symlinkat("/etc", directory, n) == 0
                        : turn % 4 == 1 ? ::mkdirat(directory, n, 0755) == 0
                        : turn % 4 == 2 ? ::mkfifoat(directory, n, 0666) == 0
                                        : ::mknodat(directory, n, S_IFREG | 0644, 0) == 0;
      if (!made) continue;
      ++count;
      ::usleep(500);
      (void)::unlinkat(directory, n, turn % 4 == 1 ? AT_REMOVEDIR : 0);
    }
  return count;
}

long lock(int directory) {
  std::map<ino_t, int> held;
  long count = 0;
  (void)::flock(directory, LOCK_EX | LOCK_NB);
  while (ended == 0) {
    for (const std::string& name : names_in(directory)) {
      const int fd = ::openat(directory, name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
      struct stat status {};
      if (fd < 0 || ::fstat(fd, &status) != 0 || held.contains(status.st_ino) ||
          held.size() > 500 || ::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (fd >= 0) ::close(fd);
        continue;
      }
      held[status.st_ino] = fd;
      ++count;
    }
    ::usleep(200);
  }
  return count;
}

long fill(int directory) {
  const int fd = ::openat(directory, "filler", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  const std::string block(65536, 'x');
  long count = 0;
  while (ended == 0) {
    while (::write(fd, block.data(), block.size()) > 0 && ended == 0) {
    }
    ++count;
    ::usleep(1000);
    if (::ftruncate(fd, 0) != 0 || ::lseek(fd, 0, SEEK_SET) != 0) break;
    ::usleep(static_cast<useconds_t>(5000 * (count % 30)));
  }
  return count;
}

/// Connects to what listens, sends nonsense, and takes the neighbouring names.
long sockets() {
  std::set<std::string> taken;
  long count = 0;
  while (ended == 0) {
    std::ifstream list("/proc/net/unix");
    for (std::string line; std::getline(list, line);) {
      const auto at = line.find("@charlie/");
      if (at == std::string::npos) continue;
      std::string name = line.substr(at + 1);
      const auto reach = [&](const std::string& text, bool bind) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        text.copy(address.sun_path + 1, sizeof address.sun_path - 1);
        const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
        const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        const auto* a = reinterpret_cast<const sockaddr*>(&address);
        if (bind && ::bind(fd, a, size) == 0 && ::listen(fd, 1) == 0) return;  // never closed
        if (!bind && ::connect(fd, a, size) == 0) (void)::send(fd, "nonsense", 8, MSG_NOSIGNAL);
        ::close(fd);
      };
      ++count;
      reach(name, false);
      // charlie/join/UID/N/TAG: a few of the next N, so that some remain free.
      const auto number = name.find('/', name.find('/', 8) + 1) + 1;
      const auto tag = name.find('/', number);
      if (tag == std::string::npos) continue;
      for (const char* n : {"0", "1", "2"}) {
        std::string other = name;
        other.replace(number, tag - number, n);
        if (taken.size() < 300 && taken.insert(other).second) reach(other, true);
      }
    }
  }
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGTERM, [](int) { ended = 1; });
  const std::string what = argc > 1 ? argv[1] : "";
  const int directory = argc > 2 ? ::open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : AT_FDCWD;
  long count = 0;
  if (directory == -1) {
    std::perror("adversary");
    return 1;
  } else if (what == "swap" && argc == 4) {
    count = swap(directory, argv[3]);
  } else if (what == "squat" && argc > 3) {
    count = squat(directory, {argv + 3, argv + argc});
  } else if (what == "lock" && argc == 3) {
    count = lock(directory);
  } else if (what == "fill" && argc == 3) {
    count = fill(directory);
  } else if (what == "sockets") {
    count = sockets();
  } else {
    std::fprintf(stderr, "adversary: see the head of its source\n");
    return 64;
  }
  std::printf("%ld\n", count);
  return 0;
}
