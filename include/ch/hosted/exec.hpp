// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. This process becomes a program in a container, as with a shell's `exec`: for programs
// that only prepare another one. Source: man 2 execve.
#pragma once

#include "ch/hosted/spawn.hpp"

namespace ch {

/// Becomes `command` in `box`. Returns only a Failure, after which this process may be half-way in
/// the container and should report and end. What stdio has buffered is lost: flush it before.
///
/// A box with a user namespace needs a process with a single thread. Refused (EINVAL): pid and time
/// namespaces, which only a child can enter, and several ids, which another process has to map.
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
      wrong.cause = "the other end of the pipe would be lost with this program";
      wrong.remedy = "run or spawn it";
      return wrong;
    }
  return detail::with_program_plan(box, command, options, streams->redirects, become).error();
}

}  // namespace ch
