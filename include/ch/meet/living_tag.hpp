// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. Living tags: MeetPeers without a number of peers. Every process of such a container
// holds a socket whose name contains its pid, so a later process finds one by reading
// /proc/net/unix, and joins it. The tag ends with its last holder. The group's other name
// (meeting.hpp) is the lock for searching and, if no holder is found, making the container.
// Source: man 5 proc, /proc/net/unix; man 2 pidfd_open.
#pragma once

#include "ch/kernel/socket_diag.hpp"
#include "ch/meet/meeting.hpp"

namespace ch {
namespace detail {

/// Does process `pid`, of our user, hold the socket with this inode as its tag?
template <kernel::Kernel K>
[[nodiscard]] bool holds_tag(K& k, const Gathering& g, std::uint64_t pid,
                             std::string_view inode) noexcept {
  TextBuffer<48> path;
  path << "/proc/" << pid;
  kernel::Statx status;
  if (!kernel::statx(k, Fd::cwd, path.c_str(), 0, status).ok() || status.uid != g.uid) return false;
  path << "/fd/" << meeting::tag_descriptor;
  char target[64];
  const auto n = kernel::readlinkat(k, Fd::cwd, path.c_str(), target, sizeof target);
  if (!n.ok()) return false;
  TextBuffer<64> wanted;
  wanted << "socket:[" << inode << ']';
  return std::string_view(target, n.value()) == wanted.view();
}

/// What a line of /proc/net/unix says about a member of our tag; empty if it is about something
/// else.
struct ListedMember {
  std::string_view inode{};
  std::uint64_t pid = 0;
};

/// "Num RefCount Protocol Flags Type St Inode Path": six fields, the inode, and the name, which
/// other users can choose freely.
[[nodiscard]] constexpr ListedMember read_member(std::string_view line, std::uint32_t uid,
                                                 std::string_view tag) noexcept {
  std::string_view field;
  for (int i = 0; i < 7; ++i) {
    while (head(line, 1) == " ") line.remove_prefix(1);
    field = head(line, line.find(' '));
    line.remove_prefix(field.size());
  }
  TextBuffer<48> prefix;
  prefix << " @charlie/tag/" << uid << '/';
  if (head(line, prefix.view().size()) != prefix.view()) return {};
  const std::string_view member = tail(line, prefix.view().size());
  const auto slash = member.find('/');
  std::uint64_t pid = 0;
  if (slash == std::string_view::npos || tail(member, slash + 1) != tag ||
      !parse_number(head(member, slash), 0x7fffffff, pid))
    return {};
  return {field, pid};
}

/// Is a process, listed as a member, really one?
enum class Membership : std::uint8_t { no, yes, unknown };

/// Is the tag descriptor of process `pid` a socket that this process of our user has created, bound
/// to exactly this name? A line may be forged, by a name with a newline, so this duplicates the
/// socket itself. A message queued in it describes the container. If the process may not be traced
/// (Yama, a filter), the kernel is asked for the socket's name instead, and there is no message; if
/// that fails too, the result is unknown.
template <kernel::Kernel K>
[[nodiscard]] Membership check_member(K& k, Gathering& g, Fd pidfd,
                                      const ListedMember& member) noexcept {
  const auto name = meeting::member_name(g.uid, member.pid, g.group.tag);
  const auto got = kernel::pidfd_getfd(k, pidfd, static_cast<Fd>(meeting::tag_descriptor));
  if (got.error() == Errno::eperm || got.error() == Errno::enosys) {
    std::uint64_t inode = 0;
    if (!parse_number(member.inode, 0xffffffff, inode)) return Membership::no;
    const auto named = kernel::socket_has_name(k, inode, name);
    if (!named.ok()) return Membership::unknown;
    return named.value() ? Membership::yes : Membership::no;
  }
  if (!got.ok()) return Membership::no;
  const ScopedFd socket(k, g.descriptors, got.value());
  Pid maker{};
  if (!kernel::has_name(k, socket.get(), name) || !is_own(k, g, socket.get(), maker) ||
      static_cast<std::uint64_t>(maker) != member.pid)
    return Membership::no;
  meeting::Answer note;
  const auto size = kernel::peek(k, socket.get(), &note, sizeof note);
  if (!size.ok() || size.value() != sizeof note || note.protocol != meeting::magic)
    return Membership::yes;
  note.text[sizeof note.text - 1] = '\0';
  g.theirs = note.made_of;
  g.image.clear();
  g.image << note.text;
  return Membership::yes;
}

/// Is this line of /proc/net/unix a living member of our tag? Then fills in `g.target`.
template <kernel::Kernel K>
[[nodiscard]] bool find_in_line(K& k, Gathering& g, std::string_view line) noexcept {
  const ListedMember member = read_member(line, g.uid, g.group.tag);
  if (member.pid == 0 || !holds_tag(k, g, member.pid, member.inode)) return false;
  const Result<Target> target = find_target(k, static_cast<Pid>(member.pid));
  if (!target) return false;
  // Checked again while the pidfd is open: it is the same process throughout.
  const Membership belief = check_member(k, g, target->pidfd, member);
  if (belief != Membership::yes || !holds_tag(k, g, member.pid, member.inode) ||
      !kernel::pidfd_alive(k, target->pidfd).ok()) {
    if (belief == Membership::unknown && holds_tag(k, g, member.pid, member.inode) &&
        g.why.view().empty())
      g.why << "process " << member.pid
            << " seems to hold the tag, but neither pidfd_getfd nor sock_diag is available, so "
               "this can't be verified";
    (void)kernel::close(k, target->pidfd);
    return false;
  }
  g.target = target->pidfd;
  g.flags = target->flags;
  g.creator = static_cast<Pid>(member.pid);
  return true;
}

/// Searches the names of all sockets for a living member.
template <kernel::Kernel K>
[[nodiscard]] Result<bool> find_member(K& k, Gathering& g) noexcept {
  const auto opened = kernel::openat(k, Fd::cwd, "/proc/net/unix", kernel::o_rdonly);
  if (!opened.ok()) return failure(as_result(opened, "/proc/net/unix").error());
  const ScopedFd list(k, g.descriptors, opened.value());
  char text[8192];
  std::size_t size = 0;
  for (;;) {
    const auto n = kernel::read(k, list.get(), text + size, sizeof text - size);
    if (n.error() == Errno::eintr) continue;
    if (!n.ok()) return failure(as_result(n, "/proc/net/unix").error());
    if (n.value() == 0) return false;
    size += n.value();
    std::string_view rest(text, size);
    for (auto end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      if (find_in_line(k, g, head(rest, end))) return true;
      rest.remove_prefix(end + 1);
    }
    const std::size_t skipped = size - rest.size();
    if (skipped == 0 && size == sizeof text) size = 0;  // no line is that long
    if (skipped == 0) continue;
    for (std::size_t i = 0; i < rest.size(); ++i) text[i] = rest[i];
    size = rest.size();
  }
}

/// Makes us a holder of the tag. The descriptor stays open in the program. Its other end sends a
/// message that describes the container, for later joiners, and is closed.
template <kernel::Kernel K>
[[nodiscard]] Result<void> hold_tag(K& k, Gathering& g) noexcept {
  Fd pair[2] = {Fd::none, Fd::none};
  CHARLIE_TRY(as_result(kernel::unix_socket_pair(k, pair), g.group.tag));
  meeting::Answer note;
  note.made_of = g.theirs;
  TextWriter(note.text, sizeof note.text) << g.image.view();
  (void)kernel::send(k, pair[1], &note, sizeof note);
  (void)kernel::close(k, pair[1]);
  const auto bound = kernel::bind(
      k, pair[0], meeting::member_name(g.uid, static_cast<std::uint64_t>(g.self), g.group.tag));
  const auto kept = bound.ok() ? kernel::dup3(k, pair[0], static_cast<Fd>(meeting::tag_descriptor))
                               : kernel::Returned<Fd>{bound.raw, bound.call};
  (void)kernel::close(k, pair[0]);
  if (!kept.ok()) return failure(as_result(kept, g.group.tag).error());
  return {};
}

/// Called with the lock held: joins a living member (true), or makes us the creator.
template <kernel::Kernel K>
[[nodiscard]] Result<bool> join_tag(K& k, Gathering& g) noexcept {
  const Result<bool> found = find_member(k, g);
  if (!found) return found;
  if (!*found && !g.why.view().empty())
    return meeting_failed<bool>(g, Errno::eperm, kernel::Call::pidfd_getfd);
  g.why.clear();
  const ScopedFd member(k, g.descriptors, g.target);
  if (!*found)
    for (const Step& step : g.steps)
      if (const auto* open = std::get_if<step::OpenImage>(&step)) g.image << open->image.text;
  // Before the namespaces change, since names belong to the network namespace.
  CHARLIE_TRY(hold_tag(k, g));
  if (!*found) return false;
  const auto joined =
      as_result(kernel::setns(k, g.target, static_cast<std::uint64_t>(g.flags)), g.group.tag);
  if (!joined) {
    g.why << "process " << static_cast<int>(g.creator) << " holds the tag, but can't be joined";
    return failure(joined.error());
  }
  return true;
}

/// Waits until the lock is released.
template <kernel::Kernel K>
[[nodiscard]] Result<void> await_lock(K& k, Gathering& g) noexcept {
  for (;;) {
    meeting::Answer answer;
    const auto got = kernel::receive(k, g.socket, &answer, sizeof answer);
    if (got.error() != Errno::eagain && got.error() != Errno::eintr) return {};
    const std::uint64_t now = kernel::monotonic_ns(k);
    if (now >= g.deadline) {
      g.why << "process " << static_cast<int>(g.creator)
            << ", which is making the container, took too long";
      return meeting_failed(g, Errno::etimedout, kernel::Call::ppoll);
    }
    kernel::PollFd lock{g.socket, kernel::pollin, 0};
    (void)kernel::poll(k, &lock, 1, g.deadline - now);
  }
}

}  // namespace detail
}  // namespace ch
