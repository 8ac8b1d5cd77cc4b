// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. MeetPeers: determines the role of this process, by a group's name (meeting.hpp) or a
// living tag (living_tag.hpp); a joiner enters the container. Drawn in docs/join.md.
#pragma once

#include "ch/meet/living_tag.hpp"

namespace ch {
namespace detail {

/// Repeats until we have joined or are the creator.
template <kernel::Kernel K>
[[nodiscard]] Result<Role> find_role(K& k, Gathering& g) noexcept {
  for (;;) {
    const Result<bool> leads = claim(k, g);
    if (!leads) return failure(leads.error());
    if (g.group.expected == 0 && *leads) {
      const Result<bool> joined = join_tag(k, g);
      if (!joined) return failure(joined.error());
      return *joined ? Role::joiner : Role::creator;
    }
    if (g.group.expected == 0) {
      CHARLIE_TRY(await_lock(k, g));
    } else if (*leads) {
      const auto own =
          as_result(kernel::openat(k, Fd::cwd, "/proc/self/ns", kernel::o_path), g.group.tag);
      if (!own) return failure(own.error());
      g.own_ns = *own;
      return Role::creator;
    } else {
      const Result<bool> joined = follow(k, g);
      if (!joined) return failure(joined.error());
      if (*joined) return Role::joiner;
    }
    (void)kernel::close(k, g.socket);  // the creator has joined another, or is done: search again
    g.socket = Fd::none;
  }
}

/// Is our uid, outside or inside, the one that stands for all unmapped users?
[[nodiscard]] inline bool is_ambiguous_uid(const Gathering& g) noexcept {
  constexpr auto overflow = static_cast<std::uint32_t>(Uid::nobody);
  bool confuses = g.uid == overflow;
  for (const Step& step : g.steps)
    if (const auto* map = std::get_if<step::MapUsers>(&step))
      confuses = confuses || map->range.inside == Uid::nobody;
  return confuses;
}

}  // namespace detail

/// Performs MeetPeers: determines the role of this process; a joiner is in the container
/// afterwards. On an error `g.why`, if not empty, gives the cause; the error's `why` points to it.
/// A kernel with `on_joined(const Gathering&)` is told which container was joined.
template <kernel::Kernel K>
[[nodiscard]] Result<void> meet(K& k, Gathering& g) noexcept {
  g.uid = kernel::geteuid(k).value();
  if (detail::is_ambiguous_uid(g)) {
    g.why << "user 65534 is what all unmapped users look like, so a group can't recognize its own";
    return detail::with_cause(g, detail::meeting_failed(g, Errno::eoverflow, kernel::Call::none));
  }
  g.deadline = kernel::monotonic_ns(k) + g.group.timeout;
  g.made_of = g.theirs = fingerprint(k, g.steps);
  const Result<Role> role = detail::find_role(k, g);
  g.awaited = role && *role == Role::creator;
  if (g.awaited) return {};
  if (g.socket != Fd::none) release(k, g.descriptors, g.socket);
  g.socket = Fd::none;
  if (!role) return detail::with_cause(g, failure(role.error()));
  g.role = Role::joiner;
  if constexpr (requires { k.on_joined(g); }) k.on_joined(g);
  return {};
}

}  // namespace ch
