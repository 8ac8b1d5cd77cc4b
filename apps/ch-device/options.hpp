// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The values of ch-device's options, and how each argument of the options in
// option_table.hpp is read.
#pragma once

#include "ch/cli/described.hpp"
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

inline const char* take_directories(Options& o, const char* list) {
  o.directories = ch::cdi::split_directories(list);
  return o.directories.empty() ? "--cdi-dirs needs a directory" : nullptr;
}

inline const char* take_device(Options& o, const char* device) {
  const auto request = ch::cdi::parse_request(device);
  if (!request) return "a device is VENDOR/CLASS=NAME, such as nvidia.com/gpu=0";
  o.requests.push_back(*request);
  return nullptr;
}

}  // namespace ch_device
