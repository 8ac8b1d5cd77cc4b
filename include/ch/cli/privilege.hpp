// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. The first line of every tool's main: refuse to go on as a set-uid program.
#pragma once

#include "ch/cli/output.hpp"
#include "ch/plan/privilege.hpp"

namespace ch::cli {

/// Does this process have a privilege that its user does not have (plan/privilege.hpp)? Then
/// says so on standard error, and the caller must exit with a failure. `argc` and `argv` are
/// main's. No system call if there is none.
template <kernel::Kernel K>
[[nodiscard]] bool refuses_privilege(K& k, std::string_view program, int argc,
                                     const char* const* argv) noexcept {
  const Privilege privilege = privilege_at_start(k, argv + argc + 1);
  if (privilege == Privilege::none) return false;
  Output out(standard_error);
  for (const auto& [label, text] : {std::pair{": error: ", why_refused(privilege)},
                                    std::pair{": remedy: ", remedy_of(privilege)}}) {
    out(program);
    out(label);
    out(text);
    out("\n");
  }
  return true;
}
[[nodiscard]] inline bool refuses_privilege(std::string_view program, int argc,
                                            const char* const* argv) noexcept {
  kernel::Linux k;
  return refuses_privilege(k, program, argc, argv);
}

}  // namespace ch::cli
