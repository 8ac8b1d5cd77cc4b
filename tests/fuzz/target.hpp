// SPDX-License-Identifier: Apache-2.0
//
// Test support: what the fuzz targets share. A target takes any bytes; an exception whose
// message a tool prints (ch::io::Failed) is a good end; a crash, a leak, undefined
// behaviour, a hang, or a change outside of the target's own tree is a finding.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

namespace fuzz {

struct Target {
  const char* name;
  void (*run)(std::string_view input);
};

std::span<const Target> image_targets();
std::span<const Target> inject_targets();
std::span<const Target> command_targets();

/// Runs the target of this name on `input`; ends the program if there is none.
void run_target(std::string_view name, std::string_view input);

/// The original standard error: libFuzzer redirects that of targets.
inline const int messages = ::dup(2);

[[noreturn]] inline void wrong(const char* what) {
  ::dprintf(messages, "wrong: %s\n", what);
  std::abort();
}

/// Bytes of the input, as small choices.
struct Bytes {
  std::string_view left;
  std::uint8_t one() {
    if (left.empty()) return 0;
    const auto first = static_cast<std::uint8_t>(left[0]);
    left.remove_prefix(1);
    return first;
  }
  std::string_view until(char end) {
    const std::size_t at = std::min(left.find(end), left.size());
    const std::string_view text = left.substr(0, at);
    left.remove_prefix(std::min(at + 1, left.size()));
    return text;
  }
};

/// Replaces the content of the open file `fd`.
inline void fill(int fd, std::string_view bytes) {
  if (ftruncate(fd, 0) != 0) wrong("ftruncate");
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t n = ::pwrite(fd, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (n <= 0) wrong("pwrite");
    at += static_cast<std::size_t>(n);
  }
}

/// A memory file, refilled for each input, and a path that opens it again.
class MemoryFile {
 public:
  MemoryFile() : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {}
  int fill(std::string_view bytes) const {
    fuzz::fill(fd_, bytes);
    return fd_;
  }
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

/// A directory on a memory file system for one tree, with a canary beside the tree.
class Place {
 public:
  Place() {
    const char* given = std::getenv("CHARLIE_FUZZ_PLACE");  // whoever sets it removes it
    path_ = std::string(given != nullptr ? given : "/dev/shm") + "/charlie-fuzz.XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) wrong("no directory for the tree");
    fd_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int canary = ::openat(fd_, "canary", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    fill(canary, "alive");
    ::close(canary);
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int fd() const { return fd_; }

  /// Is everything unchanged outside the directory "tree"?
  void check() const {
    char text[8] = {};
    const int canary = ::openat(fd_, "canary", O_RDONLY | O_CLOEXEC);
    struct stat status {};
    if (canary < 0 || ::read(canary, text, 8) != 5 || std::string_view(text) != "alive" ||
        fstat(canary, &status) != 0 || (status.st_mode & 07777) != 0600 || status.st_nlink != 1)
      wrong("the canary is not as it was");
    ::close(canary);
    if (fstat(fd_, &status) != 0 || (status.st_mode & 07777) != 0700)
      wrong("the mode of the directory above the tree has changed");
    DIR* names = ::fdopendir(::openat(fd_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (names == nullptr) wrong("the directory above the tree can't be read");
    int count = 0;
    while (::readdir(names) != nullptr) ++count;
    ::closedir(names);
    if (count > 4) wrong("something new beside the tree");  // ".", "..", the canary, the tree
  }

 private:
  std::string path_;
  int fd_ = -1;
};
inline Place& place() {
  static Place one;
  return one;
}

}  // namespace fuzz
