// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. What was wrong with a command line, as a sentence. For tools with a heap.
#pragma once

#include <string>

#include "ch/cli/described.hpp"

namespace ch::cli {

/// Empty if nothing was wrong.
[[nodiscard]] inline std::string text_of(const ReadError& wrong) {
  if (!wrong) return {};
  const std::string subject(wrong.subject);
  if (wrong.problem == not_valid && wrong.option != nullptr)
    return "--" + std::string(wrong.option->name) + ": \"" + subject + "\" is not a valid " +
           std::string(wrong.option->argument_name());
  return subject.empty() ? wrong.problem : wrong.problem + (": " + subject);
}

}  // namespace ch::cli
