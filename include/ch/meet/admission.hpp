// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. AdmitPeers: after making the container, the creator waits for the missing peers and
// admits all of them at once. If one dies in the meantime, the launch fails at once for all, with
// the same message, since the group can never be complete. Drawn in docs/join.md. Source: man 3
// cmsg (SCM_RIGHTS); man 2 poll.
#pragma once

#include "ch/meet/meeting.hpp"
#include "ch/types/errno_text.hpp"

namespace ch {
namespace detail {

/// "rank 3 (process 1234)", or "process 1234" if the rank is unknown.
inline void write_peer(TextWriter& out, const Peer& peer) noexcept {
  if (peer.rank != no_rank) out << "rank " << peer.rank << " (";
  out << "process " << static_cast<int>(peer.pid);
  if (peer.rank != no_rank) out << ')';
}

/// "3 of 4 peers came: ranks 0, 1, 3; missing: rank 2", or a list of processes if ranks are
/// unknown.
inline void write_arrivals(TextWriter& out, const Gathering& g) noexcept {
  std::size_t greeted = 1;
  bool ranked = g.group.rank >= 0 && static_cast<std::uint32_t>(g.group.rank) < g.group.expected;
  for (std::size_t i = 0; i < g.present; ++i) {
    const Peer& peer = g.peers[i];
    if (!peer.greeted) continue;
    ++greeted;
    ranked = ranked && peer.rank >= 0 && static_cast<std::uint32_t>(peer.rank) < g.group.expected;
  }
  out << static_cast<std::uint64_t>(greeted) << " of " << g.group.expected << " peers came";
  if (ranked) {
    const auto came = [&](std::size_t rank) {
      if (static_cast<std::size_t>(g.group.rank) == rank) return true;
      for (std::size_t i = 0; i < g.present; ++i)
        if (g.peers[i].greeted && static_cast<std::size_t>(g.peers[i].rank) == rank) return true;
      return false;
    };
    out << ": rank";
    meeting::write_ranks(out, g.group.expected, came);
    out << "; missing: rank";
    meeting::write_ranks(out, g.group.expected, [&](std::size_t rank) { return !came(rank); });
    return;
  }
  out << ": processes " << static_cast<int>(g.self);
  std::size_t listed = 1;
  for (std::size_t i = 0; i < g.present && listed < 16; ++i, ++listed)
    if (g.peers[i].greeted) out << ", " << static_cast<int>(g.peers[i].pid);
  if (greeted > listed) out << " and more";
}

/// Removes peer `i`; the last one takes its place.
template <kernel::Kernel K>
void drop_peer(K& k, Gathering& g, std::size_t i) noexcept {
  (void)kernel::close(k, g.peers[i].fd);
  g.peers[i] = g.peers[--g.present];
}

/// Accepts pending connections, and closes those of other users. Bounded, so that a flood of those
/// does not keep us from checking the deadline and serving our peers.
template <kernel::Kernel K>
[[nodiscard]] Result<void> accept_some(K& k, Gathering& g) noexcept {
  for (int i = 0; i < 256 && g.present < g.peers.size(); ++i) {
    const auto next = kernel::accept(k, g.socket);
    if (next.error() == Errno::eagain || next.error() == Errno::eintr) return {};
    if (!next.ok()) return failure(as_result(next, g.group.tag).error());
    Peer peer{next.value()};
    if (is_own(k, g, peer.fd, peer.pid))
      g.peers[g.present++] = peer;
    else
      (void)kernel::close(k, peer.fd);
  }
  return {};
}

/// Reads the Hello of peer `i`. Fails if the peer is gone.
template <kernel::Kernel K>
[[nodiscard]] Result<void> read_hello(K& k, Gathering& g, std::size_t i) noexcept {
  Peer& peer = g.peers[i];
  meeting::Hello hello;
  const auto got = kernel::receive(k, peer.fd, &hello, sizeof hello);
  if (got.error() == Errno::eagain || got.error() == Errno::eintr) return {};
  if (!got.ok() || got.value() == 0) {
    write_peer(g.why, peer);
    g.why << " died while the group gathered; ";
    drop_peer(k, g, i);
    write_arrivals(g.why, g);
    return meeting_failed(g, Errno::econnreset, got.call);
  }
  const bool understood = got.value() == sizeof hello && hello.protocol == meeting::magic;
  if (understood && hello.expected == g.group.expected) {
    peer.rank = hello.rank;
    peer.greeted = true;
    return {};
  }
  // Not a member of this group, which continues without it.
  meeting::Answer answer;
  answer.verdict = meeting::Verdict::refused;
  answer.code = static_cast<int>(understood ? Errno::einval : Errno::eproto);
  TextWriter text(answer.text, sizeof answer.text);
  if (understood)
    text << "the group has " << g.group.expected << " peers, and this process counts "
         << hello.expected << ": these must match";
  else
    text << "this process has another version than the creator";
  (void)kernel::send(k, peer.fd, &answer, sizeof answer);
  drop_peer(k, g, i);
  return {};
}

/// Waits until all peers have connected and sent their Hello.
template <kernel::Kernel K>
[[nodiscard]] Result<void> gather(K& k, Gathering& g) noexcept {
  for (;;) {
    const std::size_t known = g.present;
    CHARLIE_TRY(accept_some(k, g));
    for (std::size_t i = g.present; i-- > known;) CHARLIE_TRY(read_hello(k, g, i));
    std::size_t greeted = 0;
    for (std::size_t i = 0; i < g.present; ++i) greeted += g.peers[i].greeted ? 1U : 0U;
    if (greeted == g.peers.size()) return {};
    const std::uint64_t now = kernel::monotonic_ns(k);
    if (now >= g.deadline) {
      g.why << "within " << g.group.timeout / second << " s, ";
      write_arrivals(g.why, g);
      return meeting_failed(g, Errno::etimedout, kernel::Call::ppoll);
    }
    const bool all_here = g.present == g.peers.size();
    g.polled[0] = {all_here ? Fd::none : g.socket, kernel::pollin, 0};
    for (std::size_t i = 0; i < g.present; ++i)
      g.polled[i + 1] = {g.peers[i].fd, kernel::pollin, 0};
    const auto ready = kernel::poll(k, g.polled.data(), g.present + 1, g.deadline - now);
    if (!ready.ok()) continue;
    // Backwards: a peer that is removed is replaced by the last one, which has been read already.
    for (std::size_t i = g.present; i-- > 0;)
      if (g.polled[i + 1].revents != 0) CHARLIE_TRY(read_hello(k, g, i));
  }
}

/// Tells all peers, connected or pending, that the launch has failed.
template <kernel::Kernel K>
void refuse_all(K& k, Gathering& g, Errno code, std::string_view why) noexcept {
  meeting::Answer answer;
  answer.verdict = meeting::Verdict::refused;
  answer.code = static_cast<int>(code);
  TextWriter(answer.text, sizeof answer.text) << why;
  while (g.present > 0) {
    (void)kernel::send(k, g.peers[g.present - 1].fd, &answer, sizeof answer);
    drop_peer(k, g, g.present - 1);
  }
  refuse_waiting(k, g, answer);
}

/// Tells waiting peers that a step of the creator has failed.
template <kernel::Kernel K>
void abandon(K& k, Gathering& g) noexcept {
  if (!g.awaited) return;
  if (g.own_ns != Fd::none) release(k, g.descriptors, g.own_ns);
  g.own_ns = Fd::none;
  if (g.socket == Fd::none) return;
  TextBuffer<160> why;
  why << "process " << static_cast<int>(g.self)
      << " could not make the container for the group; its own message says why";
  refuse_all(k, g, Errno::ecanceled, why.view());
}

/// Opens the descriptors of `flags`, in the order of namespace_kinds.
template <kernel::Kernel K>
[[nodiscard]] Result<std::size_t> open_namespaces(K& k, const Gathering& g, NamespaceFlags flags,
                                                  Fd (&fds)[8]) noexcept {
  std::size_t count = 0;
  for (const NamespaceKind& kind : namespace_kinds) {
    if (!contains(flags, kind.flag)) continue;
    const auto fd = as_result(kernel::openat(k, g.own_ns, kind.name, kernel::o_rdonly), kind.name);
    if (!fd) {
      while (count > 0) (void)kernel::close(k, fds[--count]);
      return failure(fd.error());
    }
    fds[count++] = *fd;
  }
  return count;
}

}  // namespace detail

/// How AdmitPeers is performed. Errors as of meet().
template <kernel::Kernel K>
[[nodiscard]] Result<void> admit(K& k, Gathering& g) noexcept {
  if (!g.awaited) return {};    // a joiner is in the container already
  if (g.group.expected == 0) {  // the container is complete: others may look for us
    release(k, g.descriptors, g.socket);
    g.awaited = false;
    return {};
  }
  NamespaceFlags flags = NamespaceFlags::none;
  HostPath image{};
  for (const Step& step : g.steps) {
    if (const auto* made = std::get_if<step::CreateNamespaces>(&step)) flags = made->flags;
    if (const auto* open = std::get_if<step::OpenImage>(&step)) image = open->image;
  }
  g.uid = kernel::geteuid(k).value();  // as mapped in our user namespace
  Fd fds[8];
  const Result<std::size_t> count = detail::open_namespaces(k, g, flags, fds);
  if (!count) return failure(count.error());
  const auto release_namespaces = [&] {
    for (std::size_t i = 0; i < *count; ++i) release(k, g.descriptors, fds[i]);
  };
  if (const Result<void> all = detail::gather(k, g); !all) {
    release_namespaces();
    if (g.why.view().empty()) g.why << "the creator could not continue: " << all.error().code;
    detail::refuse_all(k, g, all.error().code, g.why.view());
    return detail::with_cause(g, all);
  }
  // From here on the group counts as complete, whatever happens to a peer.
  g.admitted = true;
  meeting::Answer answer;
  answer.flags = static_cast<std::uint64_t>(flags);
  answer.made_of = g.made_of;
  TextWriter(answer.text, sizeof answer.text) << image.text;
  for (std::size_t i = 0; i < g.present; ++i)
    (void)kernel::send(k, g.peers[i].fd, &answer, sizeof answer, fds, *count);
  for (std::size_t i = 0; i < g.present; ++i) release(k, g.descriptors, g.peers[i].fd);
  release_namespaces();
  release(k, g.descriptors, g.own_ns);
  g.own_ns = Fd::none;
  g.present = 0;
  meeting::Answer full;
  full.verdict = meeting::Verdict::refused;
  full.code = static_cast<int>(Errno::eusers);
  TextWriter(full.text, sizeof full.text)
      << "the group of " << g.group.expected << " was complete without this process: more peers "
      << "were started than it has";
  detail::refuse_waiting(k, g, full);
  g.awaited = false;
  return {};
}

}  // namespace ch
