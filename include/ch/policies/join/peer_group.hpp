// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, fourth policy: one container for many processes. Those of a PeerGroup are
// started together, such as the ranks of an MPI job on one machine: the first makes the container,
// and all continue once all have joined. Those of a LivingTag may join at any time. How they meet
// is in meet/ and docs/join.md.
#pragma once

#include <variant>

#include "ch/policies/join/join_strategy.hpp"

namespace ch {

namespace detail {

[[nodiscard]] constexpr step::MeetPeers meet_step(ZString tag, std::uint32_t expected, int rank,
                                                  std::uint64_t timeout_s) noexcept {
  return {tag, expected, rank, timeout_s * 1'000'000'000U};
}

inline void add_admission(PlanBuilder& builder) noexcept {
  if (builder.first() == nullptr) return;
  if (const auto* meets = std::get_if<step::MeetPeers>(builder.first()))
    builder.add(step::AdmitPeers{*meets});
}

}  // namespace detail

/// `count` processes of one user, on one machine and in one network namespace, with the same tag.
/// Not for pid and time namespaces, which Container refuses.
///
/// Cost: the creator makes about 20 calls more than Alone and 4 for each peer; a joiner
/// makes about 20 and mounts nothing. Execution takes 24 bytes of its arena for each peer.
/// Executing the plan waits for the other peers, and so does spawning it.
struct PeerGroup {
  static constexpr bool meets_peers = true;
  ZString tag{};
  std::uint32_t count = 1;
  int rank = no_rank;  // of this process among them, for messages
  std::uint64_t timeout_s = 30;

  Role contribute(PlanBuilder& builder, NamespaceFlags flags) const noexcept {
    if (count > 1) builder.add(detail::meet_step(tag, count, rank, timeout_s));
    return Alone{}.contribute(builder, flags);  // joiners skip what follows
  }
  void complete(PlanBuilder& builder) const noexcept { detail::add_admission(builder); }
};

/// Joins the container of the tag if a process holds the tag; else makes it. The program keeps
/// descriptor `meeting::tag_descriptor` open, so add it to Program::keep_descriptors; the tag lives
/// until the last such descriptor is closed.
struct LivingTag {
  static constexpr bool meets_peers = true;
  ZString tag{};
  std::uint64_t timeout_s = 30;

  Role contribute(PlanBuilder& builder, NamespaceFlags flags) const noexcept {
    builder.add(detail::meet_step(tag, 0, no_rank, timeout_s));
    return Alone{}.contribute(builder, flags);
  }
  void complete(PlanBuilder& builder) const noexcept { detail::add_admission(builder); }
};

/// Any of them, chosen at run time: for tools with options.
struct ChosenJoin {
  using Choice = std::variant<Alone, AttachToPid, PeerGroup, LivingTag>;
  Choice choice{};  // assign it a whole Choice: assigning a kind can throw

  Role contribute(PlanBuilder& builder, NamespaceFlags flags) const noexcept {
    // Not std::visit: for so few kinds it can throw too, and a throw needs a library.
    if (const auto* attach = std::get_if<AttachToPid>(&choice))
      return attach->contribute(builder, flags);
    if (const auto* group = std::get_if<PeerGroup>(&choice))
      return group->contribute(builder, flags);
    if (const auto* living = std::get_if<LivingTag>(&choice))
      return living->contribute(builder, flags);
    return Alone{}.contribute(builder, flags);
  }
  void complete(PlanBuilder& builder) const noexcept { detail::add_admission(builder); }
};

}  // namespace ch
