// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. What ch-fromhost has been asked: which sources, in order, each with the --dest that
// stood before it; and how each argument of the options in option_table.hpp is read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ch/cli/described.hpp"

namespace ch_fromhost {

enum class Task { inject, list, remove, print_libraries, print_fabric, help, usage, version };

/// One source of files.
struct Source {
  enum class Kind { path, file, command, cdi, nvidia, cray_cxi, cray_gni };
  Kind kind = Kind::path;
  std::string value;
  std::optional<std::string> destination;
};

struct Options {
  Task task = Task::inject;
  bool verbose = false;
  bool dry_run = false;
  bool ldconfig = true;
  std::vector<Source> sources;
  std::optional<std::string> destination;  // of the sources that follow
  std::string cdi_directories;             // empty: the usual ones
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

/// One task at a time, but who asks for help or the version gets nothing else.
template <Task task>
const char* take_task(Options& o, const char*) {
  if (is_about_itself(task) || o.task == Task::inject || o.task == task)
    o.task = task;
  else if (!is_about_itself(o.task))
    o.problem = std::string(name_of(o.task)) + " and " + name_of(task) + " can't be given together";
  return o.problem.empty() ? nullptr : o.problem.c_str();
}

template <Source::Kind kind>
const char* take_source(Options& o, const char* value) {
  using enum Source::Kind;
  if (value != nullptr && *value == '\0') {
    if (kind == command) return "--cmd must not be empty";
    if (kind == file) return "--file must not be empty";
    if (kind == path) return "--path must not be empty";
  }
  o.sources.push_back({kind, value == nullptr ? "" : value, o.destination});
  return nullptr;
}

inline const char* take_destination(Options& o, const char* directory) {
  if (*directory == '\0') return "--dest must not be empty";
  o.destination = directory;
  return nullptr;
}

}  // namespace ch_fromhost
