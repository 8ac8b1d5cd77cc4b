// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. A device's files as requests to put them into an image, for when ch-run --device is not
// available. Programs and libraries go where the image looks for them, other files where the
// device's description says; links go beside their targets.
// man: ch-fromhost(1).
#pragma once

#include "ch/devices/cdi_resolve.hpp"
#include "ch/inject/planner.hpp"

namespace ch::injection {

struct DeviceFiles {
  std::vector<Request> requests;
  std::vector<cdi::Link> links;
  std::vector<std::string> warnings;
};

/// The devices that `text` asks for: "KIND=NAME", "KIND", or "" for all that are described. Throws
/// io::Failed.
[[nodiscard]] inline std::vector<cdi::DeviceRequest> requested_devices(
    const cdi::Registry& registry, const std::string& text) {
  if (!text.empty()) {
    if (const auto request = cdi::parse_request(text)) return {*request};
    throw io::Failed(io::printable(text), "this is neither a device nor a kind of device",
                     "give one such as nvidia.com/gpu or nvidia.com/gpu=0");
  }
  std::set<std::string> kinds;
  for (const auto& [name, found] : registry.devices()) kinds.insert(found.spec->kind);
  if (kinds.empty()) throw registry.nothing_described();
  std::vector<cdi::DeviceRequest> requests;
  requests.reserve(kinds.size());
  for (const std::string& kind : kinds) requests.push_back({kind, "all"});
  return requests;
}

/// The parts of `resolution` that can be put into an image: files and links.
[[nodiscard]] inline DeviceFiles device_files(const cdi::Resolution& resolution,
                                              const std::optional<std::string>& destination) {
  DeviceFiles edits{{}, resolution.hooks.links, resolution.warnings};
  for (const cdi::Mount& mount : resolution.binds) {
    struct stat status {};
    const bool is_file = ::stat(mount.host_path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
    if (is_file && io::base_of(mount.host_path) == io::base_of(mount.container_path))
      edits.requests.push_back({mount.host_path, destination, "the device",
                                std::string(io::parent_of(mount.container_path))});
    else
      edits.warnings.push_back(io::printable(mount.host_path) +
                               " is left out: it is not a regular file, or has another name "
                               "inside; a container can be given the device itself");
  }
  // "void" tells one of NVIDIA's hooks, which we don't run, to do nothing.
  for (const std::string& variable : resolution.environment)
    if (variable != "NVIDIA_VISIBLE_DEVICES=void")
      edits.warnings.push_back("the device asks for " + io::printable(variable) +
                               " in the environment of containers");
  return edits;
}

}  // namespace ch::injection
