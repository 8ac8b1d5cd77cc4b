// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The values of ch-fromhost's options: the sources, in order, each with the preceding
// --dest; and how each argument of the options in option_table.hpp is read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ch/cli/described.hpp"
#include "ch/inject/interface.hpp"

namespace ch_fromhost {

enum class Task { inject, list, remove, print_libraries, print_fabric, help, usage, version };

struct Options {
  Task task = Task::inject;
  bool verbose = false;
  bool dry_run = false;
  ch::WithLibraries with_libraries = ch::WithLibraries::of_programs;
  bool ldconfig = true;
  std::vector<ch::FileSource> sources;
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

/// Only one task at a time, but help and version override the others.
template <Task task>
const char* take_task(Options& o, const char*) {
  if (is_about_itself(task) || o.task == Task::inject || o.task == task)
    o.task = task;
  else if (!is_about_itself(o.task))
    o.problem = std::string(name_of(o.task)) + " and " + name_of(task) + " can't be given together";
  return o.problem.empty() ? nullptr : o.problem.c_str();
}

/// Adds a source, with the --dest that precedes it.
inline const char* add(Options& o, const ch::FileSource& source) {
  o.sources.push_back(o.destination ? source.to(*o.destination) : source);
  return nullptr;
}
inline const char* take_path(Options& o, const char* path) {
  return *path == '\0' ? "--path must not be empty" : add(o, std::string(path));
}
inline const char* take_file(Options& o, const char* file) {
  return *file == '\0' ? "--file must not be empty" : add(o, ch::FileSource::list(file));
}
inline const char* take_command(Options& o, const char* command) {
  return *command == '\0' ? "--cmd must not be empty" : add(o, ch::FileSource::command(command));
}
inline const char* take_cdi(Options& o, const char* device) {
  return add(o, ch::FileSource::device(device == nullptr ? "" : device));
}
/// Adds files that programs or variables of the host name.
template <auto source>
const char* take_known(Options& o, const char*) {
  return add(o, source());
}

inline const char* take_destination(Options& o, const char* directory) {
  if (*directory == '\0') return "--dest must not be empty";
  o.destination = directory;
  return nullptr;
}

}  // namespace ch_fromhost
