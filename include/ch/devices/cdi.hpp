// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Devices of the Container Device Interface as options of ch-run: the lines of a file for
// its --device-file. The image is not changed.
//
//     const Registry registry(usual_directories);
//     const Resolution r = resolve(registry, {*parse_request("nvidia.com/gpu=0")});
//     const LoaderCache cache = make_loader_cache("/images/cuda", r);
//     std::cout << device_file(r, cache, "/tmp/ld.so.cache");
//
// ch/inject/ instead takes the Resolution and copies what it binds into the image.
// man: docs/cdi.md, ch-run(1).
#pragma once

#include "ch/devices/cdi_loader_cache.hpp"

namespace ch::cdi {

namespace detail {

/// Escapes ":" and "\", as --bind expects.
inline std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace detail

/// The text of a device file: one option of ch-run per line. `cache_path`: where ch-run will find
/// the bytes of `cache`; unused if there are none.
[[nodiscard]] inline std::string device_file(const Resolution& resolution, const LoaderCache& cache,
                                             std::string_view cache_path) {
  std::string text;
  for (const std::string& device : resolution.devices) text += "# " + device + "\n";
  for (const Mount& m : resolution.binds)
    text += "bind=" + detail::escaped(m.host_path) + ":" + detail::escaped(m.container_path) +
            (m.read_only ? ":ro\n" : ":rw\n");
  std::map<std::string, std::string> links;
  for (const Link& link : resolution.hooks.links) links[link.path] = link.target;
  for (const Link& link : cache.links) links[link.path] = link.target;
  for (const auto& [path, target] : links)
    text += "symlink=" + detail::escaped(target) + ":" + detail::escaped(path) + "\n";
  if (!cache.bytes.empty()) text += "copy=" + detail::escaped(cache_path) + ":/etc/ld.so.cache\n";
  for (const std::string& variable : resolution.environment) {
    const auto value = variable.find('=') + 1;
    text += "set-env=" + variable.substr(0, value) + "'" + variable.substr(value) + "'\n";
  }
  return text;
}

}  // namespace ch::cdi
