// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The command line of ch-device, read.
#pragma once

#include "apps/ch-device/option_table.hpp"
#include "ch/devices/cdi.hpp"

namespace ch_device {

struct Options {
  enum class Task { resolve, list, help, usage, version };
  Task task = Task::resolve;
  std::vector<std::string> directories = ch::cdi::usual_directories;
  std::vector<ch::cdi::DeviceRequest> requests;
  std::string image, cache_file, run;
  std::vector<char*> command_line;  // of ch-run
  bool quiet = false;
  std::string problem;
};

/// Takes one option. False: `problem` says what is wrong.
[[nodiscard]] inline bool apply(const ch::cli::Item& item, Options& o) {
  const std::string value = item.value != nullptr ? item.value : "";
  switch (item.id) {
    case opt_cdi_dirs:
      o.directories = ch::cdi::split_directories(value);
      if (o.directories.empty()) o.problem = "--cdi-dirs needs a directory";
      break;
    case opt_device:
      if (const auto request = ch::cdi::parse_request(value))
        o.requests.push_back(*request);
      else
        o.problem = "a device is VENDOR/CLASS=NAME, such as nvidia.com/gpu=0: " +
                    ch::io::printable(value);
      break;
    case opt_image:
      o.image = value;
      break;
    case opt_ld_cache:
      o.cache_file = value;
      break;
    case opt_run:
      o.run = value;
      break;
    case opt_list:
      o.task = Options::Task::list;
      break;
    case opt_quiet:
      o.quiet = true;
      break;
    case opt_help:
      o.task = Options::Task::help;
      break;
    case opt_usage:
      o.task = Options::Task::usage;
      break;
    case opt_version:
      o.task = Options::Task::version;
      break;
    default:
      o.problem = "unknown option";
  }
  return o.problem.empty();
}

inline Options parse(int argc, char** argv) {
  using Kind = ch::cli::Item::Kind;
  Options o;
  const char* directories = std::getenv("CH_RUN_CDI_DIRS");
  if (directories != nullptr && *directories != '\0')
    o.directories = ch::cdi::split_directories(directories);
  ch::cli::Parser parser(table, argc, argv);
  for (auto item = parser.next(); item.kind != Kind::end; item = parser.next()) {
    if (item.kind == Kind::operand) {
      o.command_line.push_back(const_cast<char*>(item.value));
    } else if (item.kind == Kind::error) {
      o.problem = std::string(item.problem) + ": " + std::string(item.subject);
      return o;
    } else if (!apply(item, o)) {
      return o;
    }
  }
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
