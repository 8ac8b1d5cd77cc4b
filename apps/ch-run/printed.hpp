// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. Was everything written that ch-run was asked to print? A full disk, or a closed pipe,
// must not look like success to a script.
#pragma once

#include "apps/ch-run/exit_status.hpp"
#include "ch/cli/output.hpp"
#include "ch/types/errno_text.hpp"

namespace ch_run {

/// Writes what is left of `out` and returns `status`; or says why it can't, and returns 31.
inline int printed(ch::cli::Output& out, int status = 0) noexcept {
  const ch::Errno code = out.error();
  if (code == ch::Errno::none) return status;
  ch::TextBuffer<192> text;
  text << "ch-run: error: can't write to standard output: " << code
       << "\nch-run: remedy: free some space, or print to another place\n";
  ch::cli::say(ch::cli::standard_error, text.view());
  return exit_container;
}

}  // namespace ch_run
