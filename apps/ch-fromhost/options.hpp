// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The command line of ch-fromhost, read: which sources, in order, each with the
// --dest that stood before it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/ch-fromhost/option_table.hpp"
#include "ch/inject.hpp"

namespace ch_fromhost {

enum class Task { inject, list, remove, print_libraries, print_fabric, help, usage, version };

struct Options {
  Task task = Task::inject;
  bool verbose = false;
  bool dry_run = false;
  bool ldconfig = true;
  std::vector<ch::FileSource> sources;
  std::string cdi_directories;  // empty: the usual ones
  std::string image;
  std::string problem;  // if not empty, the command line is wrong
};

[[nodiscard]] constexpr bool is_about_itself(Task task) noexcept {
  return task == Task::help || task == Task::usage || task == Task::version;
}

[[nodiscard]] constexpr const char* name_of(Task task) noexcept {
  switch (task) {
    case Task::list:
      return "--list";
    case Task::remove:
      return "--remove";
    case Task::print_libraries:
      return "--lib-path";
    case Task::print_fabric:
      return "--fi-path";
    default:
      return "";
  }
}

/// Takes on `task`: one at a time, but who asks for help or the version gets nothing else.
inline void choose(Options& o, Task task) {
  if (is_about_itself(task) || o.task == Task::inject || o.task == task)
    o.task = task;
  else if (!is_about_itself(o.task))
    o.problem = std::string(name_of(o.task)) + " and " + name_of(task) + " can't be given together";
}

/// What an option that names files stands for.
inline ch::FileSource source_of(int option, const std::string& value) {
  switch (option) {
    case opt_cmd:
      return ch::FileSource::command(value);
    case opt_file:
      return ch::FileSource::list(value);
    case opt_cdi:
      return ch::FileSource::device(value);
    case opt_nvidia:
      return ch::FileSource::nvidia();
    case opt_cray_cxi:
      return ch::FileSource::cray_cxi();
    case opt_cray_gni:
      return ch::FileSource::cray_gni();
    default:
      return value;
  }
}

inline void add_source(Options& o, int option, const std::string& value,
                       const std::optional<std::string>& destination) {
  const ch::FileSource source = source_of(option, value);
  o.sources.push_back(destination ? source.to(*destination) : source);
}

inline void apply(const ch::cli::Item& item, Options& o, std::optional<std::string>& destination) {
  const std::string value = item.value != nullptr ? item.value : "";
  switch (item.id) {
    case opt_cmd:
    case opt_file:
    case opt_path:
    case opt_dest:
      if (value.empty()) {
        o.problem = item.id == opt_cmd    ? "--cmd must not be empty"
                    : item.id == opt_file ? "--file must not be empty"
                    : item.id == opt_path ? "--path must not be empty"
                                          : "--dest must not be empty";
      } else if (item.id == opt_dest) {
        destination = value;
      } else {
        add_source(o, item.id, value, destination);
      }
      break;
    case opt_cdi_dirs:
      o.cdi_directories = value;
      break;
    case opt_cdi:
    case opt_nvidia:
    case opt_cray_cxi:
    case opt_cray_gni:
      add_source(o, item.id, value, destination);
      break;
    case opt_no_ldconfig:
      o.ldconfig = false;
      break;
    case opt_dry_run:
      o.dry_run = true;
      break;
    case opt_verbose:
      o.verbose = true;
      break;
    case opt_list:
      choose(o, Task::list);
      break;
    case opt_remove:
      choose(o, Task::remove);
      break;
    case opt_lib_path:
      choose(o, Task::print_libraries);
      break;
    case opt_fi_path:
      choose(o, Task::print_fabric);
      break;
    case opt_help:
      choose(o, Task::help);
      break;
    case opt_usage:
      choose(o, Task::usage);
      break;
    default:
      choose(o, Task::version);
      break;
  }
}

inline Options parse(int argc, char** argv) {
  Options o;
  std::optional<std::string> destination;
  ch::cli::Parser parser(table, argc, argv);
  while (o.problem.empty()) {
    const ch::cli::Item item = parser.next();
    using Kind = ch::cli::Item::Kind;
    if (item.kind == Kind::end) break;
    if (item.kind == Kind::error)
      o.problem = std::string(item.problem) + ": " + std::string(item.subject);
    else if (item.kind == Kind::option)
      apply(item, o, destination);
    else if (!o.image.empty())
      o.problem = std::string("duplicate image: ") + item.value;
    else
      o.image = item.value;
  }
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
