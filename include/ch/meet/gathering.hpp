// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. The state of a process while its peer group gathers: which peers have come, what they
// reported, why it failed. It belongs to one execution of a plan: the two steps of a meeting write
// it, and error reports read it. The protocol is drawn in docs/join.md.
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
  bool greeted = false;  // has sent its Hello
};

/// State of a meeting.
struct Gathering {
  // the task
  step::MeetPeers group{};
  std::span<const Step> steps{};  // the whole plan, which says what the container is made of
  Descriptors descriptors = Descriptors::close_now;
  std::span<Peer> peers{};             // room for all but us
  std::span<kernel::PollFd> polled{};  // one more

  // progress
  Role role = Role::creator;
  bool awaited = false;   // peers wait for us: we are the creator, and have not admitted them yet
  bool admitted = false;  // peers may run in the container
  Fd socket = Fd::none;   // the creator's listening socket, or a joiner's connection to the creator
  Fd own_ns = Fd::none;   // /proc/self/ns, opened on the host, since the container may lack /proc
  Fd target = Fd::none;   // pidfd of the process whose namespaces we join (living tags)
  NamespaceFlags flags{};   // of the namespaces that a joiner joins
  std::size_t present = 0;  // of `peers`
  std::uint64_t deadline = 0;
  std::uint32_t uid = 0;
  Pid self{};  // set if we hold the name
  Fingerprint made_of{};

  // what to report
  Pid creator{};                           // as a joiner sees it
  std::uint32_t foreign_uid = invalid_id;  // another user who holds one of our names
  Fingerprint theirs{};                    // of the container joined
  TextBuffer<256> image{};                 // of the container joined
  TextBuffer<640> why{};                   // the cause, if it failed
};

/// Allocates in `arena` what one execution of step `s` of `steps` needs; null if that is full.
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

/// How many names are tried if other users have taken the first ones.
inline constexpr unsigned names = 8;

/// The descriptor that keeps a tag alive. High, so that programs can use the low numbers; below
/// 255, which shells use.
inline constexpr int tag_descriptor = 200;

/// The first and only message from a peer.
struct Hello {
  std::uint32_t protocol = magic;
  std::uint32_t expected = 0;
  std::int32_t rank = no_rank;
};

enum class Verdict : std::uint32_t {
  welcome,     // with a descriptor for each namespace
  refused,     // the launch has failed; `text` says why
  start_over,  // the creator has joined another creator: search again
};

/// The creator's only reply.
struct Answer {
  std::uint32_t protocol = magic;
  Verdict verdict{};
  std::uint64_t flags = 0;  // which namespaces, in the order of namespace_kinds
  std::int32_t code = 0;    // errno, if refused
  std::int32_t reserved = 0;
  Fingerprint made_of{};
  char text[640] = {};  // why it was refused, or the path of the image
};

/// The name of a group with this tag; `n` counts up if another user holds a name.
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

/// "s 0-2, 5", or " 3", to follow "rank": those for which `has(i)` is true.
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
