// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The values that options take, from words of the command line: ids,
// namespaces, sizes. Texts are views of the words, or in the arena.
#pragma once

#include <span>

#include "ch/kernel/text.hpp"
#include "ch/plan/context.hpp"
#include "ch/policies/ns/namespace_set.hpp"
#include "ch/types/arena.hpp"

namespace ch_run {

/// A command line that can't be understood: what is wrong, with which word, and what to do if
/// that is more than to look it up.
struct UsageError {
  const char* problem = nullptr;
  std::string_view subject{};
  const char* remedy = "see ch-run --help";
};

inline UsageError parse_id(const char* text, std::uint32_t& id) noexcept {
  std::uint64_t value = 0;
  if (!ch::parse_number(text, ch::invalid_id - 1, value))
    return {"an id is a number from 0 to 4294967294", text};
  id = static_cast<std::uint32_t>(value);
  return {};
}

/// One of the words, by position; false if `text` is none of them.
template <class T>
bool parse_word(const char* text, std::span<const char* const> words, T& out) noexcept {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (std::string_view(text) != words[i]) continue;
    out = static_cast<T>(i);
    return true;
  }
  return false;
}

/// "pid,uts" to flags.
inline UsageError parse_namespaces(const char* text, ch::NamespaceFlags& flags) noexcept {
  for (std::string_view rest(text);;) {
    const auto comma = rest.find(',');
    const auto name = ch::head(rest, comma);
    const ch::NamespaceKind* found = nullptr;
    for (const ch::NamespaceKind& kind : ch::namespace_kinds)
      if (name == kind.name || (name == "mount" && std::string_view(kind.name) == "mnt"))
        found = &kind;
    if (found == nullptr)
      return {"--namespaces takes names of pid, ipc, uts, net, cgroup, time, with commas", text};
    flags = flags | found->flag;
    if (comma == std::string_view::npos) return {};
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
