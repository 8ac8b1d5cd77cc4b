// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The command line of ch-device, read.
#pragma once

#include "apps/ch-device/option_table.hpp"
#include "ch/cli/usage_text.hpp"

namespace ch_device {

using ch::cli::UsageError;

inline Options parse(int argc, char** argv) {
  Options o;
  const char* directories = std::getenv("CH_RUN_CDI_DIRS");
  if (directories != nullptr && *directories != '\0')
    o.directories = ch::cdi::split_directories(directories);
  const auto operand = [&o](const char* word) {
    o.command_line.push_back(const_cast<char*>(word));
    return UsageError{};
  };
  o.problem = ch::cli::text_of(ch::cli::read(table, handlers, argc, argv, o, operand));
  if (!o.problem.empty()) return o;
  if (o.task != Options::Task::resolve) return o;
  if (o.requests.empty())
    o.problem = "no device is asked for";
  else if (o.image.empty())
    o.problem = "no image is given: --image";
  else if (o.run.empty() && !o.command_line.empty())
    o.problem = "too many arguments: " + std::string(o.command_line[0]);
  else if (!o.run.empty() && o.command_line.empty())
    o.problem = "--run needs the command line of ch-run after --";
  return o;
}

}  // namespace ch_device
