// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. A started program as an object: wait for it, with a time limit or in an event loop,
// send it signals, use its pipes. Source: man 2 pidfd_open, wait.
#pragma once

#include <poll.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>

#include "ch/hosted/duration.hpp"
#include "ch/hosted/peer_report.hpp"
#include "ch/hosted/stream.hpp"
#include "ch/launch.hpp"

namespace ch {

class Child;

namespace detail {

struct Handles {
  kernel::OwnedFd pidfd{};
  kernel::OwnedFd report{};  // of a peer, which may not have started its program yet
  std::array<kernel::OwnedFd, 3> streams{};
};
[[nodiscard]] inline Child make_child(Pid pid, Handles handles) noexcept;

}  // namespace detail

/// A started program. Move-only. One thread at a time; different ones may hold different
/// children.
///
/// Destroying a Child that has not been waited for kills the program (SIGKILL) and reaps it, so
/// that an early return leaves neither a zombie nor a stray program. detach() lets one run on. With
/// a pid namespace, everything that the program has started ends with it; otherwise its own
/// children run on.
class Child {
 public:
  Child(Child&& other) noexcept
      : pid_(std::exchange(other.pid_, Pid::none)),
        ended_(std::exchange(other.ended_, std::nullopt)),
        handles_(std::move(other.handles_)) {}
  Child& operator=(Child&& other) noexcept {
    if (this == &other) return *this;
    end();
    pid_ = std::exchange(other.pid_, Pid::none);
    ended_ = std::exchange(other.ended_, std::nullopt);
    handles_ = std::move(other.handles_);
    return *this;
  }
  ~Child() { end(); }

  /// As this process's pid namespace numbers it. 0: moved from, or detached. With a pid namespace,
  /// it is that of the init, which is closed to others (init.hpp): ch::attach needs its child's.
  [[nodiscard]] int pid() const noexcept { return static_cast<int>(pid_); }
  /// Becomes readable when the program has ended: for poll, epoll and the like. The Child owns it.
  /// -1 on kernels without pidfds (before 5.3).
  [[nodiscard]] int pidfd() const noexcept { return handles_.pidfd.get(); }
  /// This process's ends of streams that are pipes, else -1. They block unless told otherwise.
  [[nodiscard]] int in() const noexcept { return handles_.streams[0].get(); }
  [[nodiscard]] int out() const noexcept { return handles_.streams[1].get(); }
  [[nodiscard]] int err() const noexcept { return handles_.streams[2].get(); }
  /// All of its output or errors from now to the end, if that is a pipe: waits for it. Where both
  /// are pipes, and for limits, see capture.
  [[nodiscard]] std::string read_out() { return read_all(out()); }
  [[nodiscard]] std::string read_err() { return read_all(err()); }
  /// Closes this end, so that the program sees end of file on its input.
  void close_in() noexcept { handles_.streams[0].reset(); }

  /// Waits for the end of the program, and closes its input first if that is a pipe, since
  /// otherwise both could wait for ever. Calling it again returns the same status. Fails with
  /// ECHILD if it was reaped elsewhere, or if SIGCHLD is ignored on a kernel older than 6.15. For a
  /// peer that never started its program, fails with the reason.
  [[nodiscard]] Outcome<ExitStatus> wait() {
    close_in();
    return reap();
  }
  /// The same, for `time` at most: nothing if the program still runs then. Leaves its input open.
  [[nodiscard]] Outcome<std::optional<ExitStatus>> wait_for(Duration time) {
    if (!ended_ && pid_ != Pid::none && !ends_within(time)) return std::optional<ExitStatus>();
    const Outcome<ExitStatus> ended = reap();
    if (!ended) return ended.error();
    return std::optional<ExitStatus>(*ended);
  }
  /// Sends `signal`; never to another process, since the pid of a reaped child is not used. False:
  /// it has ended or was detached, or there is no such signal.
  bool kill(int signal) noexcept {
    kernel::Linux k;
    if (pid_ == Pid::none || ended_) return false;
    return (handles_.pidfd ? kernel::pidfd_kill(k, handles_.pidfd.kernel_fd(), signal)
                           : kernel::kill(k, pid_, signal))
        .ok();
  }
  /// Lets it run on, and returns its pid. The caller, or whoever becomes its parent, has to wait
  /// for it. The pipes are closed.
  int detach() noexcept {
    handles_ = {};
    return static_cast<int>(std::exchange(pid_, Pid::none));
  }

 private:
  friend Child detail::make_child(Pid pid, detail::Handles handles) noexcept;
  Child(Pid pid, detail::Handles handles) noexcept : pid_(pid), handles_(std::move(handles)) {}

  [[nodiscard]] static std::string read_all(int fd) {
    std::string all;
    pollfd ready{fd, POLLIN, 0};
    while (fd >= 0 && (::poll(&ready, 1, -1) < 0 || detail::read_some(fd, all))) {
    }
    return all;
  }
  [[nodiscard]] bool ends_within(Duration time) const noexcept {
    const detail::Deadline deadline(time);
    for (;;) {
      int left_ms = deadline.left_ms();
      if (!handles_.pidfd) {
        if (has_ended()) return true;
        left_ms = std::min(left_ms, 10);
      }
      pollfd ending{handles_.pidfd.get(), POLLIN, 0};
      if (::poll(&ending, 1, left_ms) > 0) return true;
      if (deadline.left_ms() == 0) return !handles_.pidfd && has_ended();
    }
  }
  /// Has it ended, or been reaped elsewhere? Does not reap it.
  [[nodiscard]] bool has_ended() const noexcept {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid != 0;
  }
  [[nodiscard]] Outcome<ExitStatus> reap() {
    if (!ended_ && pid_ == Pid::none) {
      Failure failure = detail::failed_call(ECHILD, "wait for a child that was given away");
      failure.cause = "it was detached, or moved to another Child";
      failure.remedy = "wait where it is now";
      return failure;
    }
    if (!ended_) ended_ = reap_once();
    return *ended_;
  }
  [[nodiscard]] Outcome<ExitStatus> reap_once() {
    std::optional<Failure> reported;
    if (handles_.report) reported = detail::read_report(handles_.report.get());
    kernel::Linux k;
    const auto ended = detail::wait(k, StartedProcess{pid_}, handles_.pidfd.kernel_fd());
    if (reported) return *std::move(reported);
    if (ended) return *ended;
    Failure failure =
        detail::failed_call(static_cast<int>(ended.error().code), "learn how the program ended");
    failure.cause = std::string(ended.error().why.view());
    failure.remedy = "don't ignore SIGCHLD, and reap no children but your own: by their pid";
    return failure;
  }
  void end() noexcept {
    if (pid_ == Pid::none || ended_) return;
    kernel::Linux k;
    (void)(handles_.pidfd ? kernel::pidfd_kill(k, handles_.pidfd.kernel_fd(), detail::sigkill)
                          : kernel::kill(k, pid_, detail::sigkill));
    (void)detail::wait(k, StartedProcess{pid_}, handles_.pidfd.kernel_fd());
    pid_ = Pid::none;
  }

  Pid pid_ = Pid::none;
  std::optional<Outcome<ExitStatus>> ended_{};
  detail::Handles handles_{};
};

inline Child detail::make_child(Pid pid, Handles handles) noexcept {
  return Child(pid, std::move(handles));
}

}  // namespace ch
