// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a, for tools that have a libc: was everything written that they printed? A full disk must
// not look like success to a script. Source: man 3 fflush.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace ch::cli {

/// Flushes standard output. False: some of it was lost, now or earlier, and `tool` has said so.
[[nodiscard]] inline bool all_printed(const char* tool) {
  const bool lost_before = std::ferror(stdout) != 0;
  const bool flushed = std::fflush(stdout) == 0;
  const int why = errno;
  if (flushed && !lost_before) return true;
  std::fprintf(stderr, "%s: error: can't write to standard output%s%s\n", tool, flushed ? "" : ": ",
               flushed ? "" : std::strerror(why));
  std::fprintf(stderr, "%s: remedy: %s\n", tool,
               !flushed && why == EPIPE ? "let the reader of the pipe read to the end"
                                        : "free some space there, or print to another place");
  return false;
}

}  // namespace ch::cli
