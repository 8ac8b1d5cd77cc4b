// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. AdmitPeers: the creator, its container made, waits for the peers that are not
// there yet and lets all in at once. Whoever dies meanwhile ends it for all, at once and
// with the same words, for a group that lacks one will never be complete.
// Drawn in docs/join.md. Source: man 3 cmsg (SCM_RIGHTS); man 2 poll.
#pragma once

#include "ch/meet/living_tag.hpp"
#include "ch/types/errno_text.hpp"

namespace ch {
namespace detail {

/// "rank 3 (process 1234)", or without rank.
inline void write_peer(TextWriter& out, const Seat& seat) noexcept {
  if (seat.rank != no_rank) out << "rank " << seat.rank << " (";
  out << "process " << static_cast<int>(seat.pid);
  if (seat.rank != no_rank) out << ')';
}

/// "3 of 4 peers came: ranks 0, 1, 3; missing: rank 2", or whom we know of them.
inline void write_who_came(TextWriter& out, const step::MeetPeers& s) noexcept {
  const Gathering& g = *s.notes;
  std::size_t greeted = 1;
  bool ranked = s.rank >= 0 && static_cast<std::uint32_t>(s.rank) < s.expected;
  for (std::size_t i = 0; i < g.present; ++i) {
    const Seat& seat = g.seats[i];
    if (!seat.greeted) continue;
    ++greeted;
    ranked = ranked && seat.rank >= 0 && static_cast<std::uint32_t>(seat.rank) < s.expected;
  }
  out << static_cast<std::uint64_t>(greeted) << " of " << s.expected << " peers came";
  if (ranked) {
    const auto came = [&](std::size_t rank) {
      if (static_cast<std::size_t>(s.rank) == rank) return true;
      for (std::size_t i = 0; i < g.present; ++i)
        if (g.seats[i].greeted && static_cast<std::size_t>(g.seats[i].rank) == rank) return true;
      return false;
    };
    out << ": rank";
    meeting::write_ranks(out, s.expected, came);
    out << "; missing: rank";
    meeting::write_ranks(out, s.expected, [&](std::size_t rank) { return !came(rank); });
    return;
  }
  out << ": processes " << static_cast<int>(g.self);
  std::size_t listed = 1;
  for (std::size_t i = 0; i < g.present && listed < 16; ++i, ++listed)
    if (g.seats[i].greeted) out << ", " << static_cast<int>(g.seats[i].pid);
  if (greeted > listed) out << " and more";
}

/// Gives up the seat, which the last one then takes.
template <kernel::Kernel K>
void leave_seat(K& k, Gathering& g, std::size_t i) noexcept {
  (void)kernel::close(k, g.seats[i].fd);
  g.seats[i] = g.seats[--g.present];
}

/// Lets in whom it can, strangers out. Bounded, so that a flood of strangers does not keep
/// us from the clock and from our own.
template <kernel::Kernel K>
[[nodiscard]] Result<void> accept_some(K& k, const step::MeetPeers& s) noexcept {
  Gathering& g = *s.notes;
  for (int i = 0; i < 256 && g.present < g.seats.size(); ++i) {
    const auto next = kernel::accept(k, g.socket);
    if (next.error() == Errno::eagain || next.error() == Errno::eintr) return {};
    if (!next.ok()) return failure(lift(next, s.tag).error());
    Seat seat{next.value()};
    if (is_own(k, g, seat.fd, seat.pid))
      g.seats[g.present++] = seat;
    else
      (void)kernel::close(k, seat.fd);
  }
  return {};
}

/// Hears what the peer in seat `i` has to say. An error: it is gone.
template <kernel::Kernel K>
[[nodiscard]] Result<void> hear(K& k, const step::MeetPeers& s, std::size_t i) noexcept {
  Gathering& g = *s.notes;
  Seat& seat = g.seats[i];
  meeting::Hello hello;
  const auto got = kernel::receive(k, seat.fd, &hello, sizeof hello);
  if (got.error() == Errno::eagain || got.error() == Errno::eintr) return {};
  if (!got.ok() || got.value() == 0) {
    write_peer(g.why, seat);
    g.why << " died while the group gathered; ";
    leave_seat(k, g, i);
    write_who_came(g.why, s);
    return no_meeting(s, Errno::econnreset, got.call);
  }
  const bool understood = got.value() == sizeof hello && hello.protocol == meeting::magic;
  if (understood && hello.expected == s.expected) {
    seat.rank = hello.rank;
    seat.greeted = true;
    return {};
  }
  // Not one of this group, which goes on without it.
  meeting::Answer answer;
  answer.verdict = meeting::Verdict::sorry;
  answer.code = static_cast<int>(understood ? Errno::einval : Errno::eproto);
  TextWriter text(answer.text, sizeof answer.text);
  if (understood)
    text << "the group has " << s.expected << " peers, and this process counts " << hello.expected
         << ": that has to be the same";
  else
    text << "this process is of another version than the creator";
  (void)kernel::send(k, seat.fd, &answer, sizeof answer);
  leave_seat(k, g, i);
  return {};
}

/// Until all have come and said so, or it has failed.
template <kernel::Kernel K>
[[nodiscard]] Result<void> gather(K& k, const step::MeetPeers& s) noexcept {
  Gathering& g = *s.notes;
  for (;;) {
    const std::size_t known = g.present;
    CHARLIE_TRY(accept_some(k, s));
    for (std::size_t i = g.present; i-- > known;) CHARLIE_TRY(hear(k, s, i));
    std::size_t greeted = 0;
    for (std::size_t i = 0; i < g.present; ++i) greeted += g.seats[i].greeted ? 1U : 0U;
    if (greeted == g.seats.size()) return {};
    const std::uint64_t now = kernel::monotonic_ns(k);
    if (now >= g.deadline) {
      g.why << "within " << s.timeout / second << " s, ";
      write_who_came(g.why, s);
      return no_meeting(s, Errno::etimedout, kernel::Call::ppoll);
    }
    const bool all_seats = g.present == g.seats.size();
    g.polled[0] = {all_seats ? Fd::none : g.socket, kernel::pollin, 0};
    for (std::size_t i = 0; i < g.present; ++i)
      g.polled[i + 1] = {g.seats[i].fd, kernel::pollin, 0};
    const auto ready = kernel::poll(k, g.polled.data(), g.present + 1, g.deadline - now);
    if (!ready.ok()) continue;
    // Backwards: whoever leaves is replaced by the last one, who has been heard.
    for (std::size_t i = g.present; i-- > 0;)
      if (g.polled[i + 1].revents != 0) CHARLIE_TRY(hear(k, s, i));
  }
}

/// Tells all who are there or at the door that it has failed.
template <kernel::Kernel K>
void dismiss(K& k, Gathering& g, Errno code, std::string_view why) noexcept {
  meeting::Answer answer;
  answer.verdict = meeting::Verdict::sorry;
  answer.code = static_cast<int>(code);
  TextWriter(answer.text, sizeof answer.text) << why;
  while (g.present > 0) {
    (void)kernel::send(k, g.seats[g.present - 1].fd, &answer, sizeof answer);
    leave_seat(k, g, g.present - 1);
  }
  turn_away(k, g, answer);
}

/// What the creator says when a step of its own has failed while peers wait.
template <kernel::Kernel K>
void abandon(K& k, const Assembling& a) noexcept {
  if (a.meeting == nullptr) return;
  Gathering& g = *a.meeting->notes;
  if (g.own_ns != Fd::none) a.release(k, g.own_ns);
  g.own_ns = Fd::none;
  if (g.socket == Fd::none) return;
  TextBuffer<160> why;
  why << "process " << static_cast<int>(g.self)
      << " could not make the container for the group; its own message says why";
  dismiss(k, g, Errno::ecanceled, why.view());
}

/// Opens the descriptors of `flags`, in the order of namespace_kinds.
template <kernel::Kernel K>
[[nodiscard]] Result<std::size_t> open_namespaces(K& k, const Gathering& g, NamespaceFlags flags,
                                                  Fd (&fds)[8]) noexcept {
  std::size_t count = 0;
  for (const NamespaceKind& kind : namespace_kinds) {
    if (!contains(flags, kind.flag)) continue;
    const auto fd = lift(kernel::openat(k, g.own_ns, kind.name, kernel::o_rdonly), kind.name);
    if (!fd) {
      while (count > 0) (void)kernel::close(k, fds[--count]);
      return failure(fd.error());
    }
    fds[count++] = *fd;
  }
  return count;
}

}  // namespace detail

template <kernel::Kernel K>
Result<void> perform(K& k, Assembling& a, const step::AdmitPeers& s) noexcept {
  Gathering& g = *s.group.notes;
  if (a.meeting == nullptr) return {};  // a joiner has been let in already
  if (s.group.expected == 0) {          // the container stands: others may look for us
    a.release(k, g.socket);
    a.meeting = nullptr;
    return {};
  }
  NamespaceFlags flags = NamespaceFlags::none;
  HostPath image{};
  for (const Step& step : a.steps) {
    if (const auto* made = std::get_if<step::CreateNamespaces>(&step)) flags = made->flags;
    if (const auto* open = std::get_if<step::OpenImage>(&step)) image = open->image;
  }
  g.uid = kernel::geteuid(k).value();  // as it is called in our user namespace
  Fd fds[8];
  const Result<std::size_t> count = detail::open_namespaces(k, g, flags, fds);
  if (!count) return failure(count.error());
  const auto release_namespaces = [&] {
    for (std::size_t i = 0; i < *count; ++i) a.release(k, fds[i]);
  };
  if (const Result<void> all = detail::gather(k, s.group); !all) {
    release_namespaces();
    if (g.why.view().empty()) g.why << "the creator could not go on: " << all.error().code;
    detail::dismiss(k, g, all.error().code, g.why.view());
    return all;
  }
  // From here on the group is complete, whatever happens to one of it.
  a.admitted = true;
  meeting::Answer answer;
  answer.flags = static_cast<std::uint64_t>(flags);
  answer.made_of = g.made_of;
  TextWriter(answer.text, sizeof answer.text) << image.text;
  for (std::size_t i = 0; i < g.present; ++i)
    (void)kernel::send(k, g.seats[i].fd, &answer, sizeof answer, fds, *count);
  for (std::size_t i = 0; i < g.present; ++i) a.release(k, g.seats[i].fd);
  release_namespaces();
  a.release(k, g.own_ns);
  g.own_ns = Fd::none;
  g.present = 0;
  meeting::Answer full;
  full.verdict = meeting::Verdict::sorry;
  full.code = static_cast<int>(Errno::eusers);
  TextWriter(full.text, sizeof full.text)
      << "the group of " << s.group.expected << " was complete without this process: more peers "
      << "were started than it has";
  detail::turn_away(k, g, full);
  a.meeting = nullptr;
  return {};
}

}  // namespace ch
