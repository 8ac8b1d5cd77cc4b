// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, first policy: which of Linux's eight namespaces a container has of its own.
// Kinds that are not in the set are shared with the host, which is what HPC needs: the network and
// the other processes stay reachable. Source: man 7 namespaces.
#pragma once

#include <concepts>

#include "ch/types/ids.hpp"

namespace ch {

/// The eight kinds, as types, named as in the manual. `needs_child`: unshare(2) moves
/// only later children there, so the calling process can't enter in place.
namespace ns {
struct user {  // ids and capabilities; what makes all others possible without root
  static constexpr auto flag = static_cast<NamespaceFlags>(kernel::clone_newuser);
  static constexpr bool needs_child = false;
};
struct mount {  // the tree of mounts
  static constexpr auto flag = static_cast<NamespaceFlags>(kernel::clone_newns);
  static constexpr bool needs_child = false;
};
struct pid {  // process numbers; the first process inside is number 1
  static constexpr auto flag = static_cast<NamespaceFlags>(kernel::clone_newpid);
  static constexpr bool needs_child = true;
};
struct net {  // interfaces, addresses, ports; a new one has only lo, which is down
  static constexpr auto flag = static_cast<NamespaceFlags>(kernel::clone_newnet);
  static constexpr bool needs_child = false;
};
struct ipc {  // System V shared memory and POSIX message queues
  static constexpr auto flag = static_cast<NamespaceFlags>(kernel::clone_newipc);
  static constexpr bool needs_child = false;
};
struct uts {  // host name
  static constexpr auto flag = static_cast<NamespaceFlags>(kernel::clone_newuts);
  static constexpr bool needs_child = false;
};
struct cgroup {  // the root of the visible control group tree
  static constexpr auto flag = static_cast<NamespaceFlags>(kernel::clone_newcgroup);
  static constexpr bool needs_child = false;
};
struct time {  // offsets of the monotonic and boot clocks
  static constexpr auto flag = static_cast<NamespaceFlags>(kernel::clone_newtime);
  static constexpr bool needs_child = true;
};

/// One of the eight.
template <class T>
concept Kind = std::same_as<T, user> || std::same_as<T, mount> || std::same_as<T, pid> ||
    std::same_as<T, net> || std::same_as<T, ipc> || std::same_as<T, uts> ||
    std::same_as<T, cgroup> || std::same_as<T, time>;
}  // namespace ns

/// A set of kinds, fixed when the program is compiled.
///
/// Purpose: says what a container does not share with its host, and from that what
/// can be done with it: entered in place or only by a child, id maps or none, mounts
/// or none.
///
/// Laws: order does not matter; no kind twice; without `user`, every other kind needs
/// CAP_SYS_ADMIN, so such a set is for real root only.
template <class... Kinds>
struct NamespaceSet {
  static_assert((ns::Kind<Kinds> && ...),
                "Charlie: a NamespaceSet is made of ch::ns::user, mount, pid, net, ipc, uts, "
                "cgroup and time; one of the given types is none of these.");
  static constexpr NamespaceFlags flags() noexcept {
    NamespaceFlags all = NamespaceFlags::none;
    ((all = all | Kinds::flag), ...);
    return all;
  }
  template <class Kind>
  static constexpr bool has = (std::same_as<Kind, Kinds> || ...);

  template <class Kind>
  static constexpr int count = (0 + ... + (std::same_as<Kind, Kinds> ? 1 : 0));
  static_assert(((count<Kinds> == 1) && ...),
                "Charlie: a kind is named twice in this NamespaceSet; name each once.");

  /// Can a running process enter by itself, or only a child?
  static constexpr bool enters_in_place = !(Kinds::needs_child || ...);
  /// Has it a kind that only a child can enter?
  static constexpr bool needs_child = !enters_in_place;
};

/// A set whose kinds beyond `Always` are chosen at run time. For tools with an option;
/// if the kinds are known at compile time, use a NamespaceSet. What is only possible with a kind
/// (mounts, id maps) needs it in `Always`.
template <class Always>
struct ChosenNamespaces {
  NamespaceFlags more = NamespaceFlags::none;

  [[nodiscard]] constexpr NamespaceFlags flags() const noexcept { return Always::flags() | more; }
  template <class Kind>
  static constexpr bool has = Always::template has<Kind>;
  /// Not known before run time; use `needs_child(flags)`.
  static constexpr bool enters_in_place = false;
  /// Only that of `Always`; validate checks the chosen kinds.
  static constexpr bool needs_child = Always::needs_child;
};

/// A set of namespaces: knows its flags, which kinds it always has, whether a running process can
/// enter by itself, and whether it always needs a child.
///
/// Models: NamespaceSet, ChosenNamespaces.
template <class T>
concept NamespacePolicy = requires(const T& set) {
  { set.flags() }
  noexcept->std::same_as<NamespaceFlags>;
  { T::enters_in_place } -> std::convertible_to<bool>;
  { T::needs_child } -> std::convertible_to<bool>;
  { T::template has<ns::user> } -> std::convertible_to<bool>;
};

}  // namespace ch
