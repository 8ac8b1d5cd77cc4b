// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The values that options take, from words of the command line: ids,
// namespaces, sizes. Texts are views of the words, or in the arena.
#pragma once

#include "ch/cli/described.hpp"
#include "ch/plan/context.hpp"
#include "ch/policies/ns/namespace_set.hpp"
#include "ch/types/arena.hpp"

namespace ch_run {

using ch::cli::UsageError;

/// The problem if the arena is full.
inline constexpr char too_much[] = "too many options for ch-run's memory";

/// "pid,uts" to flags. Returns null, or what is wrong.
inline const char* parse_namespaces(const char* text, ch::NamespaceFlags& flags) noexcept {
  for (std::string_view rest(text);;) {
    const auto comma = rest.find(',');
    const auto name = ch::head(rest, comma);
    const ch::NamespaceKind* found = nullptr;
    for (const ch::NamespaceKind& kind : ch::namespace_kinds)
      if (name == kind.name || (name == "mount" && std::string_view(kind.name) == "mnt"))
        found = &kind;
    if (found == nullptr)
      return "--namespaces takes a list of pid, ipc, uts, net, cgroup, time, with commas";
    flags = flags | found->flag;
    if (comma == std::string_view::npos) return nullptr;
    rest.remove_prefix(comma + 1);
  }
}

/// What tmpfs takes as its size: a number, with k, m, g, t for multiples of 1024, or with %
/// for a share of the memory. Source: tmpfs(5).
inline bool is_tmpfs_size(std::string_view text) noexcept {
  const auto digits = text.find_first_not_of("0123456789");
  if (text.empty() || digits == 0) return false;
  const auto unit = ch::tail(text, digits);
  return unit.empty() || (unit.size() == 1 &&
                          std::string_view("kKmMgGtT%").find(unit[0]) != std::string_view::npos);
}

}  // namespace ch_run
