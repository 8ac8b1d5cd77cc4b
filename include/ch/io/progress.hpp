// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. A progress bar for people: share of the input read, rate, time left. Only on a
// terminal, not in log files.
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace ch::io {

/// The text of a bar: `done` of `total` bytes (0: unknown) after `seconds`.
[[nodiscard]] inline std::string progress_text(std::uint64_t done, std::uint64_t total,
                                               double seconds) {
  const double mib = static_cast<double>(done) / (1024.0 * 1024.0);
  const double rate = seconds > 0 ? mib / seconds : 0;
  char text[128];
  if (total == 0) {
    std::snprintf(text, sizeof text, "%8.1f MiB  %7.1f MiB/s", mib, rate);
    return text;
  }
  const double share = done >= total ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
  std::string bar(30, '.');
  for (std::size_t i = 0; i < bar.size() && static_cast<double>(i) < share * 30.0; ++i)
    bar[i] = '#';
  const double left = share > 0 ? seconds * (1 - share) / share : 0;
  std::snprintf(text, sizeof text, "[%s] %3.0f %%  %7.1f MiB/s  %d:%02d left", bar.c_str(),
                share * 100, rate, static_cast<int>(left) / 60, static_cast<int>(left) % 60);
  return text;
}

/// Shows the bar on standard error and erases it at the end.
class ProgressBar {
 public:
  enum class Show { if_terminal, never };
  ProgressBar(std::uint64_t total, Show show)
      : total_(total), on_(show == Show::if_terminal && ::isatty(2) == 1) {}
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void update(std::uint64_t done) {
    if (!on_) return;
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start_;
    std::fprintf(stderr, "\r%s\x1b[K", progress_text(done, total_, spent.count()).c_str());
    shown_ = true;
  }
  void clear() {
    if (shown_) std::fputs("\r\x1b[K", stderr);
    shown_ = false;
  }

 private:
  std::uint64_t total_;
  bool on_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace ch::io
