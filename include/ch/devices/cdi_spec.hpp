// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. What a Container Device Interface file says, as plain values: the devices of
// one kind, such as nvidia.com/gpu, and what a container needs to have each of them.
// Source: SPEC.md of cncf-tags/container-device-interface, versions 0.3.0 to 1.1.0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ch::cdi {

/// A device file. `path` is in the container, `host_path` on the host.
struct DeviceNode {
  std::string path;
  std::string host_path;  // the same as path if the file does not say
  char type = '\0';       // 'b', 'c', 'u', 'p'; '\0': not given
  std::optional<std::int64_t> major, minor;
};

struct Mount {
  std::string host_path;
  std::string container_path;
  std::string type;  // "", "bind" or "none" for a bind
  bool read_only = false;
};

/// A program that a runtime would run. We never do; for known hooks we do their work ourselves, see
/// cdi_hooks.hpp.
struct Hook {
  std::string name;  // "createContainer", ...
  std::string path;
  std::vector<std::string> arguments;
};

/// Changes to a container. Lists are in the order of the file.
struct Edits {
  std::vector<std::string> environment;  // NAME=VALUE
  std::vector<DeviceNode> nodes;
  std::vector<Mount> mounts;
  std::vector<Hook> hooks;
  std::vector<std::uint32_t> groups;  // additionalGids
  std::vector<std::string> unknown;   // fields that are not in the versions above
};

struct Device {
  std::string name;
  Edits edits;
};

/// One file.
struct Spec {
  std::string file;  // where it was read
  std::string kind;  // vendor/class
  std::vector<Device> devices;
  Edits edits;  // for any of the devices
};

namespace detail {

constexpr bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool is_alphanumeric(char c) noexcept { return is_letter(c) || (c >= '0' && c <= '9'); }

/// Letters, digits, and `others` in between; the ends are alphanumeric.
constexpr bool is_name(std::string_view text, std::string_view others) noexcept {
  if (text.empty() || !is_alphanumeric(text.front()) || !is_alphanumeric(text.back())) return false;
  for (const char c : text)
    if (!is_alphanumeric(c) && others.find(c) == std::string_view::npos) return false;
  return true;
}

}  // namespace detail

/// "vendor.com/class", as the specification limits it.
[[nodiscard]] constexpr bool is_kind(std::string_view text) noexcept {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  const auto vendor = text.substr(0, slash);
  const auto cls = text.substr(slash + 1);
  return detail::is_name(vendor, "_-.") && detail::is_letter(vendor.front()) &&
         detail::is_name(cls, "_-") && detail::is_letter(cls.front());
}

[[nodiscard]] constexpr bool is_device_name(std::string_view text) noexcept {
  return detail::is_name(text, "_-.:");
}

/// What a user asks for: "nvidia.com/gpu=0"; "nvidia.com/gpu" means "=all".
struct DeviceRequest {
  std::string kind, name;
  [[nodiscard]] std::string text() const { return kind + "=" + name; }
};

[[nodiscard]] inline std::optional<DeviceRequest> parse_request(std::string_view text) {
  const auto equals = text.find('=');
  DeviceRequest request{std::string(text.substr(0, equals)), "all"};
  if (equals != std::string_view::npos) request.name = text.substr(equals + 1);
  if (!is_kind(request.kind) || !is_device_name(request.name)) return std::nullopt;
  return request;
}

}  // namespace ch::cdi
