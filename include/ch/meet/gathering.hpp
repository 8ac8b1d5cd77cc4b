// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. What a process knows of its peer group while the group gathers: who is there,
// what the others say, why it failed. It belongs to one execution of a plan: the two steps of
// a meeting write to it, and whoever reports reads it. The protocol is drawn in docs/join.md.
#pragma once

#include <span>

#include "ch/kernel/socket.hpp"
#include "ch/kernel/timing.hpp"
#include "ch/plan/fingerprint.hpp"
#include "ch/plan/peers.hpp"
#include "ch/types/ids.hpp"
#include "ch/types/text.hpp"

namespace ch {

/// One peer, as the creator sees it.
struct Peer {
  Fd fd = Fd::none;
  Pid pid{};
  int rank = no_rank;
  bool greeted = false;  // has said who it is
};

/// What the steps of a meeting find out.
struct Gathering {
  // what is to be done
  step::MeetPeers group{};
  std::span<const Step> steps{};  // the whole plan, which says what the container is made of
  Descriptors descriptors = Descriptors::close_now;
  std::span<Peer> peers{};             // room for all but us
  std::span<kernel::PollFd> polled{};  // one more

  // where we are
  Role role = Role::creator;
  bool awaited = false;     // by peers: we are the creator, and have not admitted them yet
  bool admitted = false;    // peers run in what has been made
  Fd socket = Fd::none;     // the creator's that listens, or a joiner's to the creator
  Fd own_ns = Fd::none;     // /proc/self/ns of the host's proc, which the container may lack
  Fd target = Fd::none;     // the process whose namespaces we take (living tags)
  NamespaceFlags flags{};   // that a joiner has been given
  std::size_t present = 0;  // of `peers`
  std::uint64_t deadline = 0;
  std::uint32_t uid = 0;
  Pid self{};  // known to whoever holds the name
  Fingerprint made_of{};

  // what to report
  Pid creator{};                        // that a joiner has met
  std::uint32_t stranger = invalid_id;  // another user who holds one of our names
  Fingerprint theirs{};                 // of the container joined
  TextBuffer<256> image{};              // of the container joined
  TextBuffer<640> why{};                // the cause, if it failed
};

/// What the step `s` of `steps` needs to be executed once, in `arena`; null if that is full.
[[nodiscard]] inline Gathering* prepare_gathering(const step::MeetPeers& s,
                                                  std::span<const Step> steps,
                                                  Arena& arena) noexcept {
  const std::size_t others = s.expected == 0 ? 0 : s.expected - 1;
  auto* const gathering = arena.make<Gathering>();
  auto* const peers = arena.make<Peer>(others);
  auto* const polled = arena.make<kernel::PollFd>(others + 1);
  if (gathering == nullptr || peers == nullptr || polled == nullptr) return nullptr;
  gathering->group = s;
  gathering->steps = steps;
  gathering->peers = {peers, others};
  gathering->polled = {polled, others + 1};
  return gathering;
}

namespace meeting {

inline constexpr std::uint32_t magic = 0x43684a32;  // "ChJ2": protocol 2

/// How many names are tried where others have taken the first ones.
inline constexpr unsigned names = 8;

/// The descriptor by which a process keeps a tag alive. High, out of the way of programs
/// that count on the low ones; below 255, which shells use.
inline constexpr int tag_descriptor = 200;

/// The first and only word of a peer.
struct Hello {
  std::uint32_t protocol = magic;
  std::uint32_t expected = 0;
  std::int32_t rank = no_rank;
};

enum class Verdict : std::uint32_t {
  welcome,     // with a descriptor for each namespace
  refused,     // it has failed; `text` says why
  start_over,  // the creator has joined another one: look again
};

/// The one answer of a creator.
struct Answer {
  std::uint32_t protocol = magic;
  Verdict verdict{};
  std::uint64_t flags = 0;  // which namespaces, in the order of namespace_kinds
  std::int32_t code = 0;    // errno, if it has failed
  std::int32_t reserved = 0;
  Fingerprint made_of{};
  char text[640] = {};  // why it has failed, or which image it is
};

/// The name of a group with this tag; `n` counts up where another user holds one.
inline kernel::UnixName group_name(std::uint32_t uid, ZString tag, unsigned n) noexcept {
  TextBuffer<108> name;
  name << "charlie/join/" << uid << '/' << n << '/' << tag;
  return kernel::UnixName(name.view());
}

/// The name of a living tag's member, process `pid`.
inline kernel::UnixName member_name(std::uint32_t uid, std::uint64_t pid, ZString tag) noexcept {
  TextBuffer<108> name;
  name << "charlie/tag/" << uid << '/' << pid << '/' << tag;
  return kernel::UnixName(name.view());
}

/// "s 0-2, 5", or " 3", to follow "rank": those for whom `has(i)` holds.
template <class Has>
void write_ranks(TextWriter& out, std::size_t count, Has has) noexcept {
  std::size_t all = 0;
  for (std::size_t i = 0; i < count; ++i) all += has(i) ? 1U : 0U;
  out << (all == 1 ? " " : "s ");
  std::size_t written = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (!has(i)) continue;
    std::size_t last = i;
    while (last + 1 < count && has(last + 1)) ++last;
    if (written > 0) out << ", ";
    out << static_cast<std::uint64_t>(i);
    if (last > i) out << '-' << static_cast<std::uint64_t>(last);
    written += last - i + 1;
    i = last;
  }
}

}  // namespace meeting
}  // namespace ch
