// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, third policy: who we are inside. A user namespace starts with no ids; an ordinary user
// may map exactly one, to their own id outside, and must deny setgroups first. File access always
// uses the outside ids: root inside has no privilege on the host. Source: man 7 user_namespaces.
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
/// Laws: the steps establish the ids that uid() and gid() return; the ids outside are those of the
/// caller.
///
/// Models: SameIds, AsRoot, ChosenIds, MappedIds, KeepIds.
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

/// Root inside, for package managers and ldconfig. Its capabilities are valid in this namespace
/// only.
struct AsRoot {
  static constexpr bool maps = true;
  [[nodiscard]] Uid uid(const HostFacts&) const noexcept { return Uid::root; }
  [[nodiscard]] Gid gid(const HostFacts&) const noexcept { return Gid::root; }
  void contribute(PlanBuilder& b, const HostFacts& f) const noexcept {
    detail::map_one(b, f, Uid::root, Gid::root);
  }
};

/// Any one uid and gid, chosen at run time; the default is the caller's.
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

/// Several ids, such as subordinate ones (hosted/subordinate_ids.hpp): the first of each is the
/// caller's id inside. A process outside has to write these maps: the hosted front arranges that;
/// in the freestanding one mapping fails (EPERM).
struct MappedIds {
  static constexpr bool maps = true;
  std::span<const IdRange<Uid>> users{};
  std::span<const IdRange<Gid>> groups{};
  [[nodiscard]] Uid uid(const HostFacts& facts) const noexcept {
    return users.empty() ? facts.uid : users[0].inside;
  }
  [[nodiscard]] Gid gid(const HostFacts& facts) const noexcept {
    return groups.empty() ? facts.gid : groups[0].inside;
  }
  void contribute(PlanBuilder& b, const HostFacts& f) const noexcept {
    if (users.empty() || groups.empty()) return detail::map_one(b, f, uid(f), gid(f));
    b.add(step::MapUsers{users[0], text(b, users.subspan(1))});
    b.add(step::MapGroups{groups[0], text(b, groups.subspan(1))});
  }

 private:
  template <class Id>
  static ZString text(PlanBuilder& b, std::span<const IdRange<Id>> all) noexcept {
    constexpr std::size_t longest = sizeof "4294967295 4294967295 4294967295, ";
    const std::span<char> memory = b.memory<char>(all.size() * longest + 1);
    if (memory.empty()) return {};
    TextWriter out(memory.data(), memory.size());
    for (std::size_t i = 0; i < all.size(); ++i)
      out << (i > 0 ? ", " : "") << static_cast<std::uint32_t>(all[i].inside) << ' '
          << static_cast<std::uint32_t>(all[i].outside) << ' ' << all[i].count;
    memory[out.view().size()] = '\0';
    return memory.data();
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
