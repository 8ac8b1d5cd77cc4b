// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. The hooks that drivers' tools write into Container Device Interface files. They name
// host programs to be run as root in a container under construction. We run none of them, but we
// know what those of the NVIDIA Container Toolkit do, and do that ourselves.
// Source: nvidia-cdi-hook(1) of the toolkit, 1.12 (nvidia-ctk hook) to 1.18.
#pragma once

#include <algorithm>

#include "ch/devices/cdi_parse.hpp"

namespace ch::cdi {

/// A symbolic link in the container.
struct Link {
  std::string target, path;
  friend bool operator==(const Link&, const Link&) = default;
};

/// What all hooks together ask for.
struct HookWork {
  std::vector<Link> links;
  std::vector<std::string> folders;  // with libraries that the loader has to find
  bool update_cache = false;
  std::string driver_version;        // to compare the image's CUDA compatibility library with
  std::vector<std::string> unknown;  // hooks that we can't replace
};

namespace detail {

/// The values of "--name VALUE" and "--name=VALUE".
inline std::vector<std::string> values_of(const Hook& hook, std::string_view name) {
  std::vector<std::string> values;
  const auto& words = hook.arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == name && i + 1 < words.size())
      values.push_back(words[++i]);
    else if (words[i].starts_with(name) && words[i][name.size()] == '=')
      values.push_back(words[i].substr(name.size() + 1));
  }
  return values;
}

inline bool is_inner_path(std::string_view path) {
  return path.starts_with('/') && path.size() < 4096 && path.find('\n') == path.npos &&
         (std::string("/") + std::string(path) + "/").find("/../") == std::string::npos;
}

/// "TARGET::PATH". Throws io::Failed.
inline Link link_of(const std::string& text) {
  const auto colons = text.find("::");
  Link link{text.substr(0, colons), colons == text.npos ? "" : text.substr(colons + 2)};
  const bool odd_end = link.path.empty() ||
                       std::string_view("/. \t\r").find(link.path.back()) != std::string_view::npos;
  if (link.target.empty() || link.target.find('\n') != text.npos || link.target.size() > 4095 ||
      odd_end || !is_inner_path(link.path))
    throw io::Failed({}, "a hook asks for the link \"" + io::printable(text.substr(0, 200)) +
                             "\", where TARGET::PATH is expected, PATH from the root and without "
                             "\"..\"");
  return link;
}

}  // namespace detail

/// Adds the work of `hook` to `work`. Throws io::Failed for invalid arguments.
inline void add_hook(const Hook& hook, HookWork& work) {
  constexpr std::string_view known[] = {
      "create-symlinks",    "update-ldcache", "create-soname-symlinks",
      "enable-cuda-compat", "chmod",          "disable-device-node-modification"};
  const auto command =
      std::find_if(hook.arguments.begin(), hook.arguments.end(), [&](const std::string& word) {
        return std::find(std::begin(known), std::end(known), word) != std::end(known);
      });
  const std::string_view what = command == hook.arguments.end() ? "" : std::string_view(*command);
  if (what == "create-symlinks") {
    const auto links = detail::values_of(hook, "--link");
    for (const std::string& text : links) work.links.push_back(detail::link_of(text));
    if (!links.empty()) return;
  } else if (what == "update-ldcache" || what == "create-soname-symlinks") {
    for (const std::string& folder : detail::values_of(hook, "--folder")) {
      if (!detail::is_inner_path(folder) || folder.find(':') != folder.npos)
        throw io::Failed({}, "a hook names the folder \"" + io::printable(folder) +
                                 "\", where a path from the root is expected");
      work.folders.push_back(folder);
    }
    work.update_cache = true;
    return;
  } else if (what == "enable-cuda-compat") {
    for (const std::string& version : detail::values_of(hook, "--host-driver-version"))
      work.driver_version = version;
    return;
  } else if (what == "chmod" || what == "disable-device-node-modification") {
    return;  // these concern a private /dev; ours is the host's
  }
  std::string text = hook.name + " " + hook.path;
  for (std::size_t i = 1; i < hook.arguments.size(); ++i) text += " " + hook.arguments[i];
  work.unknown.push_back(io::printable(text.substr(0, 200)));
}

}  // namespace ch::cdi
