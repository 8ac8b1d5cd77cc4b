// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The command line of ch-fromhost, read.
#pragma once

#include "apps/ch-fromhost/option_table.hpp"
#include "ch/cli/usage_text.hpp"

namespace ch_fromhost {

using ch::cli::UsageError;

inline Options parse(int argc, char** argv) {
  Options o;
  const auto operand = [&o](const char* word) -> UsageError {
    if (!o.image.empty())
      return {"only one image, please (a file to inject goes after --path)", word};
    o.image = word;
    return {};
  };
  o.problem = ch::cli::text_of(ch::cli::read(table, handlers, argc, argv, o, operand));
  if (!o.problem.empty() || is_about_itself(o.task)) return o;
  if (o.image.empty())
    o.problem = "no image specified";
  else if (o.task == Task::inject && o.sources.empty())
    o.problem = "empty file list: nothing to inject was given";
  else if (o.task != Task::inject && !o.sources.empty())
    o.problem = std::string(name_of(o.task)) + " injects nothing; run it without files to inject";
  return o;
}

}  // namespace ch_fromhost
