// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. All Container Device Interface files of a host, and looking up devices in them. Later
// directories take precedence; if two files of one directory describe the same device, only that
// device is unusable.
// Source: SPEC.md of cncf-tags/container-device-interface, "Kubernetes and container
// runtimes", "Conflict resolution".
#pragma once

#include <algorithm>
#include <map>
#include <memory>

#include "ch/devices/cdi_yaml.hpp"
#include "ch/io/directory.hpp"

namespace ch::cdi {

inline const std::vector<std::string> usual_directories = {"/etc/cdi", "/var/run/cdi"};

/// "/etc/cdi:/var/run/cdi", without empty parts.
[[nodiscard]] inline std::vector<std::string> split_directories(std::string_view text) {
  return io::split(text, ":");
}

/// A device, with the file that describes it.
struct Found {
  const Spec* spec = nullptr;
  const Device* device = nullptr;
  std::string conflict;  // the other file of the same directory that describes it, if any

  [[nodiscard]] std::string name() const { return spec->kind + "=" + device->name; }
};

class Registry {
 public:
  /// Reads all files named *.json and *.yaml. A missing directory is not an error, and neither is
  /// an unusable file, which is listed in problems().
  explicit Registry(std::vector<std::string> directories) : directories_(std::move(directories)) {
    for (const std::string& directory : directories_) read_directory(directory);
  }

  /// The devices that `request` asks for, in the order of their names: one, or all of the kind if
  /// the name is "all" and no device is called that. Throws io::Failed.
  [[nodiscard]] std::vector<Found> find(const DeviceRequest& request) const {
    std::vector<Found> found;
    if (const auto it = devices_.find(request.text()); it != devices_.end()) {
      found.push_back(it->second);
    } else if (request.name == "all") {
      for (const auto& [name, device] : devices_)
        if (device.spec->kind == request.kind) found.push_back(device);
    }
    if (found.empty()) throw missing(request);
    for (const Found& device : found)
      if (!device.conflict.empty())
        throw io::Failed(
            device.name(),
            "two files of one directory describe this device: " + io::printable(device.conflict) +
                " and " + io::printable(device.spec->file),
            "remove one of them, or the common device from one");
    return found;
  }

  /// The error if any device would do but none is described.
  [[nodiscard]] io::Failed nothing_described() const {
    return nothing({}, "no device is described");
  }

  /// All devices by their names; without those that a later directory overrides.
  [[nodiscard]] const std::map<std::string, Found>& devices() const noexcept { return devices_; }

  /// "FILE: WHY" for each file that could not be used.
  [[nodiscard]] const std::vector<std::string>& problems() const noexcept { return problems_; }

 private:
  void read_directory(const std::string& directory) {
    const io::Descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) {
      if (errno != ENOENT)
        problems_.push_back(io::printable(directory) + ": " + io::errno_text(errno));
      return;
    }
    std::vector<std::string> names;
    try {
      names = io::names_in(fd.get(), directory);
    } catch (const io::Failed& e) {
      problems_.emplace_back(e.what());
    }
    std::sort(names.begin(), names.end());
    std::map<std::string, Found> here;
    for (const std::string& name : names) {
      if (!name.ends_with(".json") && !name.ends_with(".yaml")) continue;
      const std::string file = directory + "/" + name;
      try {
        auto spec = std::make_unique<Spec>(read_spec(fd.get(), name));
        spec->file = file;
        add(*spec, here);
        specs_.push_back(std::move(spec));
      } catch (const io::Failed& e) {
        problems_.push_back(io::printable(file) + ": " + e.cause());
      }
    }
    for (auto& [name, device] : here) devices_[name] = device;
  }

  static void add(const Spec& spec, std::map<std::string, Found>& here) {
    for (const Device& device : spec.devices) {
      Found& slot = here[spec.kind + "=" + device.name];
      slot = {&spec, &device, slot.spec != nullptr ? slot.spec->file : std::string()};
    }
  }

  static Spec read_spec(int directory, const std::string& name) {
    const io::Descriptor fd(::openat(directory, name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!fd) throw io::Failed({}, "can't open it (" + io::errno_text(errno) + ")");
    if (!S_ISREG(io::status_of(fd, name).st_mode))
      throw io::Failed({}, "this is not a regular file");
    const std::string text = io::read_all(fd.get(), name, max_spec_size);
    return name.ends_with(".json") ? spec_from_json_text(text) : spec_from_yaml_text(text);
  }

  [[nodiscard]] io::Failed missing(const DeviceRequest& request) const {
    std::string others;
    for (const auto& [name, device] : devices_)
      if (device.spec->kind == request.kind || others.size() < 200)
        others += (others.empty() ? "" : ", ") + name;
    if (others.empty()) return nothing(request.text(), "no such device is described");
    return io::Failed(request.text(),
                      "no such device is described in " + places() + "; there is " + others +
                          problem_list(),
                      "choose one of these")
        .with_kind(Remedy::choose_device);
  }

  [[nodiscard]] io::Failed nothing(std::string subject, const std::string& cause) const {
    if (!problems_.empty())
      return {std::move(subject), cause + " in " + places() + problem_list(),
              "make the file again with the driver's tool, e.g. nvidia-ctk cdi generate"};
    return io::Failed(std::move(subject), cause + " in " + places(),
                      "make one with the driver's tool, e.g. nvidia-ctk cdi generate "
                      "--output=/etc/cdi/nvidia.yaml, or say where it is")
        .with_kind(Remedy::name_descriptions);
  }
  [[nodiscard]] std::string places() const {
    std::string text;
    for (const std::string& directory : directories_)
      text += (text.empty() ? "" : ", ") + io::printable(directory);
    return text;
  }
  [[nodiscard]] std::string problem_list() const {
    std::string text;
    for (const std::string& problem : problems_) text += "; not usable: " + problem;
    return text;
  }

  std::vector<std::string> directories_;
  std::vector<std::unique_ptr<Spec>> specs_;
  std::map<std::string, Found> devices_;
  std::vector<std::string> problems_;
};

}  // namespace ch::cdi
