// SPDX-License-Identifier: Apache-2.0
//
// Floor 3. What a plan depends on besides its options: who the caller is and what the
// kernel can do. A plain value, so that a test can plan for any host; probe() asks
// the machine. Source: man 2 uname, geteuid; man 5 passwd, group.
#pragma once

#include "ch/kernel/fd.hpp"
#include "ch/kernel/process.hpp"
#include "ch/plan/plan.hpp"

namespace ch {

struct KernelVersion {
  unsigned major = 0;
  unsigned minor = 0;
  friend constexpr auto operator<=>(const KernelVersion&, const KernelVersion&) noexcept = default;
};

struct HostFacts {
  Uid uid{};  // effective ids: those that file access and the maps go by
  Gid gid{};
  KernelVersion kernel{};
  Assembly assembly = Assembly::detached;
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

/// The cheapest way that a kernel of this version allows.
[[nodiscard]] constexpr Assembly best_assembly(KernelVersion version) noexcept {
  if (version >= KernelVersion{6, 15}) return Assembly::detached;
  if (version >= KernelVersion{5, 12}) return Assembly::attached;
  return Assembly::classic;
}

/// The facts about the kernel alone: one call. What it does not answer is taken for old.
template <kernel::Kernel K>
[[nodiscard]] HostFacts probe_kernel(K& k, Uid uid, Gid gid) noexcept {
  HostFacts facts{uid, gid, {}, Assembly::classic};
  kernel::UtsName name{};
  if (kernel::uname(k, name).ok()) facts.kernel = parse_release(name.release);
  facts.assembly = best_assembly(facts.kernel);
  return facts;
}

/// All facts: three calls, none of which can fail in practice. Allocates nothing.
template <kernel::Kernel K>
[[nodiscard]] HostFacts probe(K& k) noexcept {
  return probe_kernel(k, static_cast<Uid>(kernel::geteuid(k).value()),
                      static_cast<Gid>(kernel::getegid(k).value()));
}

/// The same with ids that the kernel left for a new program beyond its environment
/// (the auxiliary vector), which spares two calls. For `main`'s own envp only. Source: man
/// 3 getauxval.
template <kernel::Kernel K>
[[nodiscard]] HostFacts probe(K& k, const char* const* envp) noexcept {
  constexpr long at_null = 0;
  constexpr long at_euid = 12;
  constexpr long at_egid = 14;
  while (*envp != nullptr) ++envp;
  std::uint32_t uid = invalid_id;
  std::uint32_t gid = invalid_id;
  for (const auto* aux = reinterpret_cast<const long*>(envp + 1); aux[0] != at_null; aux += 2) {
    if (aux[0] == at_euid) uid = static_cast<std::uint32_t>(aux[1]);
    if (aux[0] == at_egid) gid = static_cast<std::uint32_t>(aux[1]);
  }
  if (uid == invalid_id || gid == invalid_id) return probe(k);
  return probe_kernel(k, static_cast<Uid>(uid), static_cast<Gid>(gid));
}

}  // namespace ch
