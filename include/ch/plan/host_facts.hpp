// SPDX-License-Identifier: Apache-2.0
//
// Floor 3a. What a plan depends on besides its options: who the caller is and what the
// kernel can do. A plain value, so that a test can plan for any host; probe() asks
// the machine. Source: man 2 uname, geteuid; man 5 passwd, group.
#pragma once

#include "ch/kernel/fd.hpp"
#include "ch/kernel/process.hpp"
#include "ch/plan/plan.hpp"
#include "ch/plan/privilege.hpp"

namespace ch {

struct KernelVersion {
  unsigned major = 0;
  unsigned minor = 0;
  friend constexpr auto operator<=>(const KernelVersion&, const KernelVersion&) noexcept = default;
};

struct HostFacts {
  Uid uid{};  // effective ids, which file access and id maps use
  Gid gid{};
  KernelVersion kernel{};
  Assembly assembly = Assembly::detached;
  Privilege privilege = Privilege::none;  // anything else: no container is planned
};

/// "6.18.44-foo" to {6, 18}; {0, 0} for anything else.
[[nodiscard]] constexpr KernelVersion parse_release(std::string_view release) noexcept {
  unsigned part[2] = {};
  std::size_t at = 0;
  for (unsigned& number : part) {
    if (at >= release.size() || release[at] < '0' || release[at] > '9') return {};
    for (; at < release.size() && release[at] >= '0' && release[at] <= '9'; ++at)
      number = number * 10 + static_cast<unsigned>(release[at] - '0');
    ++at;  // the dot
  }
  return {part[0], part[1]};
}

/// The cheapest way of assembly on this kernel version.
[[nodiscard]] constexpr Assembly best_assembly(KernelVersion running) noexcept {
  if (running >= KernelVersion{6, 15}) return Assembly::detached;
  if (running >= KernelVersion{5, 12}) return Assembly::attached;
  return Assembly::classic;
}

/// Only the facts about the kernel: one call. An unknown version counts as old.
template <kernel::Kernel K>
[[nodiscard]] HostFacts probe_kernel(K& k, Uid uid, Gid gid) noexcept {
  HostFacts facts{uid, gid, {}, Assembly::classic, Privilege::none};
  kernel::UtsName name{};
  if (kernel::uname(k, name).ok()) facts.kernel = parse_release(name.release);
  facts.assembly = best_assembly(facts.kernel);
  return facts;
}

/// All facts: five calls, none of which can fail in practice. Allocates nothing.
template <kernel::Kernel K>
[[nodiscard]] HostFacts probe(K& k) noexcept {
  const Identity who = identity(k);
  HostFacts facts =
      probe_kernel(k, static_cast<Uid>(who.effective_uid), static_cast<Gid>(who.effective_gid));
  facts.privilege = detail::effective_privilege(k, who);
  return facts;
}

/// The same, with the ids from the auxiliary vector, which saves four calls. `environment` as in
/// identity_at_start().
template <kernel::Kernel K>
[[nodiscard]] HostFacts probe(K& k, const char* const* environment) noexcept {
  Identity who;
  if (!identity_at_start(environment, who)) return probe(k);
  HostFacts facts =
      probe_kernel(k, static_cast<Uid>(who.effective_uid), static_cast<Gid>(who.effective_gid));
  facts.privilege = detail::effective_privilege(k, who);
  return facts;
}

}  // namespace ch
