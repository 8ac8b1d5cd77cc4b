// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The command line of ch-tar2dir, read.
#pragma once

#include "apps/ch-tar2dir/option_table.hpp"
#include "ch/cli/usage_text.hpp"

namespace ch_tar2dir {

using ch::cli::UsageError;

inline Options parse(int argc, char** argv) {
  Options o;
  std::vector<std::string> operands;
  const auto operand = [&operands](const char* word) {
    operands.emplace_back(word);
    return UsageError{};
  };
  const auto wrong = ch::cli::read(table, handlers, argc, argv, o, operand);
  o.problem = ch::cli::text_of(wrong);
  if (wrong || o.task == Task::help || o.task == Task::usage || o.task == Task::version) return o;
  if (o.lists && o.checks) {
    o.problem = "--list and --check are two different things to do; give one of them";
    return o;
  }
  const std::size_t wanted = o.task == Task::unpack ? 2 : 1;
  if (operands.size() < wanted)
    o.problem = operands.empty() ? "no archive given" : "no directory given to unpack to";
  else if (operands.size() > wanted)
    o.problem = "too many arguments: " + operands[wanted];
  if (!operands.empty()) o.archive = operands[0];
  if (operands.size() > 1) o.destination = operands[1];
  if (o.problem.empty() && o.archive.empty()) o.problem = "the name of the archive is empty";
  return o;
}

}  // namespace ch_tar2dir
