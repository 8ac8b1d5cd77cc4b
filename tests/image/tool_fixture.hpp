// SPDX-License-Identifier: Apache-2.0
//
// Test support: ch-tar2dir, a small archive and a folder to unpack it into; and ch-tar2dir
// in the middle of its work, held there to be looked at or disturbed.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <csignal>

#include "tests/image/image_archives.hpp"
#include "tests/support/process.hpp"

namespace test {

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
inline std::string ch_tar2dir() { return tool("CH_TAR2DIR", CHARLIE_CH_TAR2DIR); }

/// Does `done` become true within half a minute? For what happens soon, but asynchronously.
template <class Done>
bool in_time(Done done) {
  for (int tries = 0; tries < 3000; ++tries, usleep(10000))
    if (done()) return true;
  return done();
}

/// For the child of a run: limits `resource` to `value`.
inline std::function<void()> limited(int resource, rlim_t value) {
  return [=] {
    const rlimit limit{value, value};
    if (setrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) _exit(126);
  };
}

inline Tar small_tar() {
  Tar tar;
  tar.dir("bin/").file("bin/sh", "#!\n", 0755).dir("dev/").dir("usr/").file("usr/f", "content");
  return tar;
}

struct ToolFixture {
  TempDir dir;
  std::string archive = (dir / "a.tar.gz").string();
  std::string image = (dir / "at/image").string();
  explicit ToolFixture(const char* base = std::getenv("TMPDIR")) : dir(base) {
    fs::create_directory(dir / "at");
    write_file(archive, compress(small_tar().bytes(), "gzip"));
  }
  [[nodiscard]] Ran unpack(std::vector<std::string> more = {},
                           const RunOptions& options = {}) const {
    std::vector<std::string> words = {ch_tar2dir()};
    words.insert(words.end(), more.begin(), more.end());
    words.push_back(archive);
    words.push_back(image);
    return run(words, options);
  }
  [[nodiscard]] std::vector<std::string> beside() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(dir / "at"))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
};

/// A ch-tar2dir that has the beginning of `tar` from a fifo and waits for more.
class HeldTool {
 public:
  HeldTool(const ToolFixture& f, std::string tar, const std::vector<std::string>& options,
           const std::function<void()>& in_child = {})
      : tar_(std::move(tar)), err_((f.dir / "err").string()) {
    const std::string fifo = (f.dir / "fifo").string();
    REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
      const int null = open("/dev/null", O_RDWR);
      dup2(null, 0);
      dup2(null, 1);
      dup2(open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
      std::vector<std::string> words = {ch_tar2dir()};
      words.insert(words.end(), options.begin(), options.end());
      words.push_back(fifo);
      words.push_back(f.image);
      std::vector<char*> argv;
      for (auto& word : words) argv.push_back(word.data());
      argv.push_back(nullptr);
      if (in_child) in_child();
      execvp(argv[0], argv.data());
      _exit(127);
    }
    out_ = open(fifo.c_str(), O_WRONLY | O_CLOEXEC);
    REQUIRE(write(out_, tar_.data(), first) == first);
    const fs::path tree = f.dir / "at/.ch-tar2dir.image/image";
    CHECK(in_time([&] { return fs::exists(tree); }));
  }
  ~HeldTool() {
    if (pid > 0) kill(pid, SIGKILL);
    (void)wait();
  }
  HeldTool(const HeldTool&) = delete;
  HeldTool& operator=(const HeldTool&) = delete;

  /// Gives it the rest.
  void let_go() {
    const auto before = std::signal(SIGPIPE, SIG_IGN);  // it may have given up
    (void)!write(out_, tar_.data() + first, tar_.size() - first);
    std::signal(SIGPIPE, before);
    close(std::exchange(out_, -1));
  }
  /// Waits for its end; the status as of waitpid.
  int wait() {
    int status = 0;
    if (pid > 0) waitpid(std::exchange(pid, -1), &status, 0);
    if (out_ >= 0) close(std::exchange(out_, -1));
    return status;
  }
  [[nodiscard]] std::string err() const { return read_file(err_); }

  pid_t pid = -1;

 private:
  static constexpr ssize_t first = 1024;
  std::string tar_, err_;
  int out_ = -1;
};

}  // namespace test
