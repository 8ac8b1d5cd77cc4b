// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The path of this program: its helpers are installed beside it.
#pragma once

#include "ch/kernel/fd.hpp"
#include "ch/types/arena.hpp"

namespace ch_run {

/// The path of this program, in the arena; empty if /proc does not show it.
template <ch::kernel::Kernel K>
std::string_view own_path(K& k, ch::Arena& arena) noexcept {
  char self[4096];
  const auto n = ch::kernel::readlinkat(k, ch::Fd::cwd, "/proc/self/exe", self, sizeof self);
  const char* kept = arena.join(std::string_view(self, n.ok() ? n.value() : 0));
  return kept == nullptr ? "" : kept;
}

}  // namespace ch_run
