// SPDX-License-Identifier: Apache-2.0
//
// Floor 3a. Where a program without a slash in its name is looked for, and which of those places an
// error is about. Source: man 3 execvp.
#pragma once

#include "ch/plan/plan.hpp"

namespace ch {

/// Writes the path of `name` in the first directory of `search_path`; an empty one is the working
/// directory.
constexpr TextWriter& write_candidate(TextWriter& out, std::string_view search_path,
                                      std::string_view name) noexcept {
  const auto directory = head(search_path, search_path.find(':'));
  return out << (directory.empty() ? std::string_view(".") : directory) << '/' << name;
}

/// Does `error` blame a place of the search path of `program`? Then its path is a part of that,
/// from the place on: empty if that is a last, empty one.
[[nodiscard]] inline bool blames_candidate(const Error& error,
                                           const step::Execute& program) noexcept {
  if (error.operation != kernel::Call::execve && error.operation != kernel::Call::openat)
    return false;
  const auto at = reinterpret_cast<std::uintptr_t>(error.path.c_str());
  const auto from = reinterpret_cast<std::uintptr_t>(program.search_path.c_str());
  return at - from <= program.search_path.size();
}

/// Writes the path that `error`, which came from executing `plan`, is about; nothing if there is
/// none.
inline TextWriter& write_path(TextWriter& out, const Error& error, const Plan& plan) noexcept {
  const auto index = static_cast<std::size_t>(error.step);
  if (index < plan.steps.size())
    if (const auto* program = std::get_if<step::Execute>(&plan.steps[index]);
        program != nullptr && blames_candidate(error, *program))
      return write_candidate(out, error.path, program->name);
  return out << error.path;
}

}  // namespace ch
