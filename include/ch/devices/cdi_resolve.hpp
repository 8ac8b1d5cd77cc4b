// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Resolves requested devices to what the container needs: binds, links and variables.
// Checks that the host has what the files describe; changes nothing.
// Source: SPEC.md of cncf-tags/container-device-interface, "containerEdits".
#pragma once

#include <grp.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <set>

#include "ch/devices/cdi_hooks.hpp"
#include "ch/devices/cdi_registry.hpp"

namespace ch::cdi {

struct Resolution {
  std::vector<std::string> devices;  // KIND=NAME, as resolved
  std::vector<Mount> binds;
  std::vector<std::string> environment;  // NAME=VALUE; of two with the same name the last wins
  HookWork hooks;
  std::vector<std::string> warnings;
};

namespace detail {

inline bool is_below(std::string_view path, std::string_view directory) {
  return path.size() > directory.size() && path.starts_with(directory) &&
         path[directory.size()] == '/';
}

/// Do all our containers show this path of the host anyway?
inline bool is_shown_anyway(std::string_view path) {
  return is_below(path, "/dev") || is_below(path, "/proc") || is_below(path, "/sys");
}

inline constexpr const char* stale =
    "load the driver, or make the file again with the driver's tool (nvidia-ctk cdi generate)";

/// Builds a Resolution, edit by edit.
class Resolver {
 public:
  [[nodiscard]] Resolution take() {
    // Of two binds at one place the last wins, as if it were mounted over the other.
    std::set<std::string_view> taken;
    std::vector<Mount> binds;
    for (auto bind = result_.binds.rbegin(); bind != result_.binds.rend(); ++bind)
      if (taken.insert(bind->container_path).second) binds.push_back(*bind);
    result_.binds.assign(binds.rbegin(), binds.rend());
    return std::move(result_);
  }

  void add(const Found& found) {
    const std::string name = found.name();
    if (!seen_.insert(name).second) return;
    result_.devices.push_back(name);
    if (seen_.insert(found.spec->file).second) add(found.spec->edits, *found.spec);
    add(found.device->edits, *found.spec);
  }

 private:
  void add(const Edits& edits, const Spec& spec) {
    for (const DeviceNode& node : edits.nodes) add(node, spec);
    for (const Mount& mount : edits.mounts) add(mount, spec);
    for (const std::string& variable : edits.environment) add_variable(variable, spec);
    for (const Hook& hook : edits.hooks) {
      try {
        add_hook(hook, result_.hooks);
      } catch (const io::Failed& e) {
        throw io::Failed(io::printable(spec.file), e.cause(), "correct the file");
      }
    }
    for (const std::uint32_t group : edits.groups) add_group(group);
    for (const std::string& field : edits.unknown)
      warn("the field " + io::printable(field) + " of " + io::printable(spec.file) +
           " is unknown and ignored");
  }

  void add(const DeviceNode& node, const Spec& spec) {
    struct stat status {};
    if (::stat(node.host_path.c_str(), &status) != 0)
      throw io::Failed(io::printable(node.host_path),
                       "this host has no such device (" + io::errno_text(errno) + "), though " +
                           io::printable(spec.file) + " says so",
                       stale);
    const bool is_device = S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode);
    const auto differs = [](const std::optional<std::int64_t>& wanted, unsigned is) {
      return wanted && *wanted != static_cast<std::int64_t>(is);
    };
    if (is_device &&
        (differs(node.major, major(status.st_rdev)) || differs(node.minor, minor(status.st_rdev))))
      warn(io::printable(node.host_path) + " has other device numbers than " +
           io::printable(spec.file) + " says; that file seems to be older than the last boot");
    if (node.host_path == node.path && is_shown_anyway(node.path)) return;
    if (is_shown_anyway(node.path) && ::stat(node.path.c_str(), &status) != 0)
      throw io::Failed(io::printable(node.path),
                       "the container shows the host's /dev, which lacks this name, though " +
                           io::printable(spec.file) + " wants it for " +
                           io::printable(node.host_path),
                       "make a link or node of that name on the host");
    result_.binds.push_back({node.host_path, node.path, {}, false});
  }

  void add(const Mount& mount, const Spec& spec) {
    if (!mount.type.empty() && mount.type != "bind" && mount.type != "rbind" &&
        mount.type != "none") {
      warn("the " + io::printable(mount.type) + " file system on " +
           io::printable(mount.container_path) + " that " + io::printable(spec.file) +
           " asks for is left out: only binds are supported");
      return;
    }
    struct stat status {};
    if (::stat(mount.host_path.c_str(), &status) != 0)
      throw io::Failed(io::printable(mount.host_path),
                       "this host has no such file (" + io::errno_text(errno) + "), though " +
                           io::printable(spec.file) + " says so",
                       stale);
    if (mount.host_path == mount.container_path && is_shown_anyway(mount.host_path)) return;
    result_.binds.push_back(mount);
  }

  void add_variable(const std::string& variable, const Spec& spec) {
    const std::string_view name = std::string_view(variable).substr(0, variable.find('='));
    bool odd = variable.find('\n') != std::string::npos;
    for (const char c : name)
      odd = odd || static_cast<unsigned char>(c) <= ' ' || c == '\'' || c == '\x7f';
    if (odd)
      warn("the variable " + io::printable(name) + " of " + io::printable(spec.file) +
           " has a line break or an invalid name and is left out");
    else
      result_.environment.push_back(variable);
  }

  /// Inside, we are in the same groups as outside, and in no others.
  void add_group(std::uint32_t group) {
    std::vector<gid_t> groups(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
    groups.resize(static_cast<std::size_t>(
        std::max(::getgroups(static_cast<int>(groups.size()), groups.data()), 0)));
    if (::getegid() == group || std::find(groups.begin(), groups.end(), group) != groups.end())
      return;
    warn("the device asks for group " + std::to_string(group) +
         ", which you are not in; ask the administrator to add you");
  }

  void warn(std::string text) {
    if (seen_.insert("warning: " + text).second) result_.warnings.push_back(std::move(text));
  }

  Resolution result_;
  std::set<std::string> seen_;
};

}  // namespace detail

/// What the devices of `requests` need, in their order. Throws io::Failed: a device is not
/// described, or the host lacks what its description names.
[[nodiscard]] inline Resolution resolve(const Registry& registry,
                                        const std::vector<DeviceRequest>& requests) {
  detail::Resolver resolver;
  for (const DeviceRequest& request : requests)
    for (const Found& found : registry.find(request)) resolver.add(found);
  Resolution result = resolver.take();
  auto& hooks = result.hooks.unknown;
  std::sort(hooks.begin(), hooks.end());
  hooks.erase(std::unique(hooks.begin(), hooks.end()), hooks.end());
  for (const std::string& hook : hooks)
    result.warnings.push_back("an unknown hook is not run: " + hook);
  return result;
}

}  // namespace ch::cdi
