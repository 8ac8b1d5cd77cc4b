// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, third policy: who we are inside. A user namespace starts with no ids at
// all; an ordinary user may map exactly one, to the own id outside, and must give up
// setgroups first. Access to files goes by the outside ids, always: being root inside
// gives nothing on the host. Source: man 7 user_namespaces.
#pragma once

#include <concepts>
#include <optional>

#include "ch/plan/context.hpp"

namespace ch {

/// Purpose: chooses the ids inside and adds the steps that establish them.
///
/// Minimal definition: `maps` (false: leaves ids alone), `uid(facts)`, `gid(facts)`:
/// the ids inside; `contribute(builder, facts)`: the steps, right after the namespaces
/// exist.
///
/// Laws: what uid() and gid() say is what the steps make true; the ids outside are
/// those of the caller.
///
/// Models: SameIds, AsRoot, ChosenIds, KeepIds.
template <class P>
concept IdMapPolicy = requires(const P& policy, PlanBuilder& builder, const HostFacts& facts) {
  { P::maps } -> std::convertible_to<bool>;
  { policy.uid(facts) }
  noexcept->std::same_as<Uid>;
  { policy.gid(facts) }
  noexcept->std::same_as<Gid>;
  { policy.contribute(builder, facts) }
  noexcept;
};

namespace detail {
/// The one map that needs no privilege: one uid, one gid, no setgroups.
inline void map_one(PlanBuilder& builder, const HostFacts& facts, Uid uid, Gid gid) noexcept {
  builder.add(step::DenySetgroups{});
  builder.add(step::MapUsers{{.inside = uid, .outside = facts.uid}});
  builder.add(step::MapGroups{{.inside = gid, .outside = facts.gid}});
}
}  // namespace detail

/// The same ids as outside.
struct SameIds {
  static constexpr bool maps = true;
  [[nodiscard]] Uid uid(const HostFacts& facts) const noexcept { return facts.uid; }
  [[nodiscard]] Gid gid(const HostFacts& facts) const noexcept { return facts.gid; }
  void contribute(PlanBuilder& b, const HostFacts& f) const noexcept {
    detail::map_one(b, f, uid(f), gid(f));
  }
};

/// Root inside, for package managers and ldconfig. The capabilities that come with it
/// hold in this namespace only.
struct AsRoot {
  static constexpr bool maps = true;
  [[nodiscard]] Uid uid(const HostFacts&) const noexcept { return Uid::root; }
  [[nodiscard]] Gid gid(const HostFacts&) const noexcept { return Gid::root; }
  void contribute(PlanBuilder& b, const HostFacts& f) const noexcept {
    detail::map_one(b, f, Uid::root, Gid::root);
  }
};

/// Any one id, chosen at run time; the caller's where none is chosen.
struct ChosenIds {
  static constexpr bool maps = true;
  std::optional<Uid> chosen_uid{};
  std::optional<Gid> chosen_gid{};
  [[nodiscard]] Uid uid(const HostFacts& facts) const noexcept {
    return chosen_uid.value_or(facts.uid);
  }
  [[nodiscard]] Gid gid(const HostFacts& facts) const noexcept {
    return chosen_gid.value_or(facts.gid);
  }
  void contribute(PlanBuilder& b, const HostFacts& f) const noexcept {
    detail::map_one(b, f, uid(f), gid(f));
  }
};

/// No user namespace, no map: the ids of the caller, who is real root.
struct KeepIds {
  static constexpr bool maps = false;
  [[nodiscard]] Uid uid(const HostFacts& facts) const noexcept { return facts.uid; }
  [[nodiscard]] Gid gid(const HostFacts& facts) const noexcept { return facts.gid; }
  void contribute(PlanBuilder&, const HostFacts&) const noexcept {}
};

}  // namespace ch
