// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. What ch-run prints about a plan: instead of executing it, before, and after.
#pragma once

#include "apps/ch-run/exit_status.hpp"
#include "apps/ch-run/launch.hpp"
#include "apps/ch-run/printed.hpp"
#include "apps/ch-run/remedy_words.hpp"
#include "ch/show/explain.hpp"
#include "ch/show/print_json.hpp"
#include "ch/show/print_shell.hpp"
#include "ch/show/print_text.hpp"

namespace ch_run {

using cli::Output;
using cli::standard_error;
using cli::standard_output;

inline int report(const Launch& l, const Plan& plan, const Error& error) noexcept {
  kernel::Linux machine;
  LaunchKernel k(machine);  // to use the existing instantiation
  TextBuffer<16384> message;
  write_message(message, "ch-run", error, plan, probe_limits(k), remedy_words);
  l.messages().labelled(message.view());
  return failed_to_execute(error, plan) ? exit_command : exit_container;
}

/// Prints microseconds and steps, one line each, to standard error.
inline void print_times(const Plan& plan, std::span<const std::uint64_t> nanoseconds) noexcept {
  Output out(standard_error);
  std::size_t i = 0;
  std::uint64_t total = 0;
  const auto line = [&](std::uint64_t ns, std::string_view what) {
    TextBuffer<32> number;
    number << ns / 1000 << '.' << ns / 100 % 10;
    for (std::size_t column = number.view().size(); column < 9; ++column) out(" ");
    out(number.view());
    out(" us  ");
    out(what);
  };
  print_text(plan, [&](std::string_view text) {
    if (i >= nanoseconds.size()) return;
    total += nanoseconds[i];
    line(nanoseconds[i++], text);
  });
  line(total, "total without the execve\n");
}

/// Redirects standard output, and with another -q standard error, to /dev/null.
inline void silence(kernel::Linux& k, int quietness) noexcept {
  if (quietness < 2) return;
  const auto nowhere = kernel::openat(k, Fd::cwd, "/dev/null", kernel::o_wronly);
  if (!nowhere.ok()) return;
  (void)kernel::dup3(k, nowhere.value(), standard_output);
  if (quietness > 2) (void)kernel::dup3(k, nowhere.value(), standard_error);
}

// Separate functions, so that their buffers are not on the stack of a launch that prints nothing:
// each page touched costs a page fault.
[[gnu::noinline]] inline int print_plan(const Launch& l, const Plan& plan) noexcept {
  const Options& o = l.options;
  Output out(standard_output);
  if (o.explain == Explain::json)
    print_json(plan, out);
  else if (o.explain == Explain::shell)
    print_shell(plan, out, l.envp);
  else
    print_text(plan, out);
  for (const char* path : l.configurations) {
    if (path == nullptr || o.explain != Explain::text) continue;
    out("With options from ");
    out(path);
    out("; --no-conf leaves them out.\n");
  }
  return printed(out);
}

[[gnu::noinline]] inline void print_before_launch(Launch& l, const Plan& plan) noexcept {
  Output out(standard_error);
  print_text(plan, out);
  if (l.options.verbosity <= 2) return;
  for (const char* const* v = l.environment.envp(); *v != nullptr; ++v) {
    out(*v);
    out("\n");
  }
}

}  // namespace ch_run
