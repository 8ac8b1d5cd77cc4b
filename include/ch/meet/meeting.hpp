// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. MeetPeers: how a process finds its peer group. The process that binds the group's
// socket name, which the kernel releases when that process ends, is the creator; the others connect
// to it and wait for its reply. Other users can take names too, so each side checks the credentials
// of the other, and all try the next name if another user holds one. Drawn in docs/join.md. Source:
// man 7 unix (SO_PEERCRED, abstract sockets).
#pragma once

#include "ch/meet/gathering.hpp"
#include "ch/plan/attach.hpp"
#include "ch/types/scoped_fd.hpp"

namespace ch {
namespace detail {

inline constexpr std::uint64_t second = 1'000'000'000U;

/// The error of a failed meeting; the cause is in g.why.
template <class T = void>
[[nodiscard]] Result<T> meeting_failed(const Gathering& g, Errno code, kernel::Call call) noexcept {
  return failure({code, call, StepIndex::none, g.group.tag});
}

/// `done`; if it is an error, with the cause from g.why.
[[nodiscard]] inline Result<void> with_cause(const Gathering& g, Result<void> done) noexcept {
  if (!done && !g.why.view().empty()) done.error().why = g.why.c_str();
  return done;
}

/// Sleeps.
template <kernel::Kernel K>
void pause(K& k, std::uint64_t nanoseconds) noexcept {
  kernel::PollFd none;
  (void)kernel::poll(k, &none, 0, nanoseconds);
}

/// Is the peer a process of our user? Then stores its pid in `pid`, else its user in g.foreign_uid.
template <kernel::Kernel K>
[[nodiscard]] bool is_own(K& k, Gathering& g, Fd socket, Pid& pid) noexcept {
  kernel::PeerCredentials who{Pid::none, invalid_id, invalid_id};
  const bool known = kernel::peer_credentials(k, socket, who).ok();
  if (!known || who.uid != g.uid) {
    g.foreign_uid = who.uid;
    return false;
  }
  pid = who.pid;
  return true;
}

/// Stops listening, and sends `answer` to all pending connections of our user.
template <kernel::Kernel K>
void refuse_waiting(K& k, Gathering& g, const meeting::Answer& answer) noexcept {
  (void)kernel::stop_listening(k, g.socket);
  for (;;) {
    const auto next = kernel::accept(k, g.socket);
    if (next.error() == Errno::eintr) continue;
    if (!next.ok()) break;
    Pid pid{};
    meeting::Hello hello;
    if (is_own(k, g, next.value(), pid)) {
      // Closing with unread data would reset the connection instead.
      (void)kernel::receive(k, next.value(), &hello, sizeof hello);
      (void)kernel::send(k, next.value(), &answer, sizeof answer);
    }
    (void)kernel::close(k, next.value());
  }
  (void)kernel::close(k, g.socket);
  g.socket = Fd::none;
}

/// Who holds a name.
enum class Found : std::uint8_t { free, ours, foreign, silent };

/// Binds name `n` if it is free (`free`), or connects to its holder if that is ours (`ours`).
/// `silent`: the holder has not listened within `timeout`, so it is not ours; the socket can be
/// used for another name then.
template <kernel::Kernel K>
[[nodiscard]] Result<Found> try_name(K& k, Gathering& g, Fd socket, unsigned n,
                                     std::uint64_t timeout) noexcept {
  const kernel::UnixName name = meeting::group_name(g.uid, g.group.tag, n);
  std::uint64_t until = 0;
  for (std::uint64_t delay = 50'000;; delay = delay < 2'000'000 ? delay * 2 : delay) {
    // Connect first, since all but one process join.
    const auto connected = kernel::connect(k, socket, name);
    if (connected.ok()) return is_own(k, g, socket, g.creator) ? Found::ours : Found::foreign;
    const Errno code = connected.error();
    if (code == Errno::eagain) return Found::silent;
    if (code != Errno::econnrefused && code != Errno::eintr)
      return failure(as_result(connected, g.group.tag).error());
    const auto bound = kernel::bind(k, socket, name);
    if (bound.ok()) return Found::free;
    if (bound.error() != Errno::eaddrinuse) return failure(as_result(bound, g.group.tag).error());
    const std::uint64_t now = kernel::monotonic_ns(k);
    if (until == 0) until = now + timeout;
    if (now > until) return Found::silent;
    pause(k, delay);
  }
}

/// We hold name `n`: listens, and looks for another creator of the group under the other names,
/// which exists only if another user held a name for a while. If there is one, we connect to it.
/// Two that see each other both start over. Returns whether we stay creator.
template <kernel::Kernel K>
[[nodiscard]] Result<bool> listen_as_creator(K& k, Gathering& g, Fd socket, unsigned n) noexcept {
  g.socket = socket;
  g.self = kernel::getpid(k).value();
  CHARLIE_TRY(as_result(kernel::listen(k, socket, 4096), g.group.tag));
  CHARLIE_TRY(as_result(kernel::set_nonblocking(k, socket), g.group.tag));
  Fd probe = Fd::none;
  for (unsigned other = 0; other < meeting::names; ++other) {
    if (other == n) continue;
    if (probe == Fd::none) {
      const auto made = as_result(kernel::unix_socket(k, kernel::o_nonblock), g.group.tag);
      if (!made) return failure(made.error());
      probe = *made;
    }
    if (!kernel::connect(k, probe, meeting::group_name(g.uid, g.group.tag, other)).ok()) continue;
    if (is_own(k, g, probe, g.creator)) {
      meeting::Answer answer;
      answer.verdict = meeting::Verdict::start_over;
      refuse_waiting(k, g, answer);
      g.socket = probe;
      return false;
    }
    (void)kernel::close(k, probe);
    probe = Fd::none;
  }
  (void)kernel::close(k, probe);
  return true;
}

/// Makes us the creator (true), with a listening socket, or connects us to the creator.
template <kernel::Kernel K>
[[nodiscard]] Result<bool> claim(K& k, Gathering& g) noexcept {
  std::uint64_t timeout = g.group.timeout / (std::uint64_t{2} * meeting::names);
  if (timeout > 2 * second) timeout = 2 * second;
  Fd socket = Fd::none;
  for (unsigned n = 0; n < meeting::names; ++n) {
    if (socket == Fd::none) {
      const auto made = as_result(kernel::unix_socket(k), g.group.tag);
      if (!made) return failure(made.error());
      socket = *made;
      // If the queue is full we wait, but not forever.
      (void)kernel::set_send_timeout(k, socket, timeout);
    }
    const Result<Found> found = try_name(k, g, socket, n, timeout);
    if (found && *found == Found::silent) continue;
    if (found && *found == Found::free) return listen_as_creator(k, g, socket, n);
    if (found && *found == Found::ours) {
      g.socket = socket;
      return false;
    }
    (void)kernel::close(k, socket);
    socket = Fd::none;
    if (!found) return failure(found.error());
  }
  if (socket != Fd::none) (void)kernel::close(k, socket);
  g.why << "other users hold all " << meeting::names << " names that this group could meet under";
  if (g.foreign_uid != invalid_id) g.why << ", user " << g.foreign_uid << " among them";
  return meeting_failed<bool>(g, Errno::eaddrinuse, kernel::Call::bind);
}

/// Waits for the creator's reply. The deadline is a little later than the creator's, which knows
/// better what went wrong.
template <kernel::Kernel K>
[[nodiscard]] Result<void> await_answer(K& k, Gathering& g, meeting::Answer& answer,
                                        Fd (&fds)[8]) noexcept {
  const auto creator = static_cast<int>(g.creator);
  for (bool reset = false;;) {
    const std::uint64_t now = kernel::monotonic_ns(k);
    if (now >= g.deadline + second) {
      g.why << "process " << creator << ", which is to make the container, took too long";
      return meeting_failed(g, Errno::etimedout, kernel::Call::ppoll);
    }
    kernel::PollFd socket{g.socket, kernel::pollin, 0};
    (void)kernel::poll(k, &socket, 1, g.deadline + second - now);
    const auto got = kernel::receive(k, g.socket, &answer, sizeof answer, fds, 8);
    if (got.ok() && got.value() > 0) {
      if (got.value() == sizeof answer && answer.protocol == meeting::magic) return {};
      g.why << "process " << creator << " has the group's name, but uses another protocol";
      return meeting_failed(g, Errno::eproto, got.call);
    }
    if (got.error() == Errno::econnreset && !reset) {
      reset = true;  // a reply may still be queued
      continue;
    }
    if (got.error() != Errno::eagain && got.error() != Errno::eintr) {
      g.why << "process " << creator
            << ", which was to make the container, died before it was ready";
      return meeting_failed(g, Errno::econnreset, got.call);
    }
  }
}

/// Sends Hello, waits, and joins the namespaces. False: the creator has joined another.
template <kernel::Kernel K>
[[nodiscard]] Result<bool> follow(K& k, Gathering& g) noexcept {
  const meeting::Hello hello{meeting::magic, g.group.expected, g.group.rank};
  (void)kernel::send(k, g.socket, &hello, sizeof hello);  // a failure shows in the reply
  meeting::Answer answer;
  Fd fds[8];
  CHARLIE_TRY(await_answer(k, g, answer, fds));
  if (answer.verdict == meeting::Verdict::start_over) return false;
  answer.text[sizeof answer.text - 1] = '\0';
  if (answer.verdict == meeting::Verdict::refused) {
    g.why << answer.text;
    return meeting_failed<bool>(g, static_cast<Errno>(answer.code), kernel::Call::recvmsg);
  }
  g.theirs = answer.made_of;
  g.image << answer.text;
  g.flags = static_cast<NamespaceFlags>(answer.flags);
  std::size_t next = 0;
  kernel::Returned<void> joined{0, kernel::Call::setns};
  for (const NamespaceKind& kind : namespace_kinds) {
    if (!contains(g.flags, kind.flag) || next >= 8) continue;
    const ScopedFd ns(k, g.descriptors, fds[next++]);
    if (joined.ok()) joined = kernel::setns(k, ns.get(), static_cast<std::uint64_t>(kind.flag));
  }
  if (!joined.ok()) {
    g.why << "the namespaces of process " << static_cast<int>(g.creator) << " can't be joined";
    return failure(as_result(joined, g.group.tag).error());
  }
  return true;
}

}  // namespace detail
}  // namespace ch
