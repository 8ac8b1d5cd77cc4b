// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. This process becomes a program in a container: for programs that only prepare another
// one, as a shell's `exec` does. Source: man 2 execve.
#pragma once

#include "ch/hosted/spawn.hpp"

namespace ch {

/// Becomes `command` in `box`. Returns only a Failure, after which this process may be half-way in
/// the container and should report and end. What stdio has buffered is lost: flush it before.
///
/// For a box with a user namespace, in a process with one thread. Not for pid and time namespaces,
/// which only a child comes to, nor for several ids, which somebody else has to map (EINVAL).
///
///     std::cerr << ch::exec(ch::image("/img"), {"lmp", "-in", "in.lj"}) << '\n';
template <class B>
[[nodiscard]] Failure exec(const B& box, const Command& command, const Options& options = {}) {
  const auto become = [&](const Plan& plan, Arena& arena) -> Outcome<void> {
    if (detail::enters_by_child(plan) || detail::needs_id_writer(plan)) {
      Failure wrong = detail::failed_call(EINVAL, "become a program in the container");
      wrong.cause = "a child is needed for its namespaces or ids";
      wrong.remedy = "run or spawn it";
      return wrong;
    }
    kernel::Linux k;
    return explain_failure(execute(k, plan, arena, Descriptors::close_at_exec).error(), plan);
  };
  Outcome<detail::OpenStreams> streams = detail::open_streams(options.in, options.out, options.err);
  if (!streams) return streams.error();
  for (const detail::OpenStream& stream : streams->each)
    if (stream.outside) {
      Failure wrong = detail::failed_call(EINVAL, "become a program in the container");
      wrong.cause = "the other end of a pipe would go with this program";
      wrong.remedy = "run or spawn it";
      return wrong;
    }
  return detail::with_program_plan(box, command, options, streams->redirects, become).error();
}

}  // namespace ch
