// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. What is special about libfabric: where the image has it, and the mount points that
// Cray's software expects.
// Source: ch-fromhost's manual page; man 7 fi_provider.
#pragma once

#include <cstdlib>
#include <range/v3/algorithm/any_of.hpp>
#include <range/v3/algorithm/contains.hpp>

#include "ch/inject/image_libraries.hpp"

namespace ch::injection {

namespace detail {

/// Paths of libfabric.so* below `directory`, links not followed.
inline void walk_for_fabric(const ImageTree& tree, const std::string& directory, int depth,
                            std::vector<std::string>& found) {
  const io::Descriptor fd = tree.try_open_directory(directory);
  if (!fd || depth > 32) return;
  for (const std::string& name : io::names_in(fd.get(), directory)) {
    struct stat status {};
    if (!io::status_of(fd.get(), name, status)) continue;
    if (S_ISDIR(status.st_mode))
      walk_for_fabric(tree, directory + '/' + name, depth + 1, found);
    else if (name.starts_with("libfabric.so") && !directory.starts_with("/ch/"))
      found.push_back(directory + '/' + name);
  }
}

}  // namespace detail

/// Directories of the image with a libfabric.so*, each once, the loader's choice first.
/// The whole image is searched only if no library directory has one.
[[nodiscard]] inline std::vector<std::string> fabric_directories(const ImageTree& tree,
                                                                 const ImageLibraries& libraries) {
  std::vector<std::string> paths;
  for (const CachedLibrary& l : libraries.cache())
    if (l.soname.starts_with("libfabric.so") && tree.try_open_file(l.path)) paths.push_back(l.path);
  for (const std::string& directory : libraries.directories())
    if (const io::Descriptor fd = tree.try_open_directory(directory))
      for (const std::string& name : io::names_in(fd.get(), directory))
        if (name.starts_with("libfabric.so")) paths.push_back(directory + '/' + name);
  if (paths.empty()) detail::walk_for_fabric(tree, "", 0, paths);
  std::vector<std::string> directories;
  for (const std::string& path : paths) {
    std::string place = tree.locate(std::string(io::parent_of(path)));
    if (!ranges::contains(directories, place)) directories.push_back(std::move(place));
  }
  return directories;
}

/// What kind of Cray this host is, if it is one.
enum class Cray { none, slingshot, ugni };

[[nodiscard]] inline Cray cray_of_host() {
  struct stat status {};
  if (::lstat("/etc/opt/cray/release/cle-release", &status) != 0) return Cray::none;
  return S_ISLNK(status.st_mode) ? Cray::slingshot : Cray::ugni;  // COS has a link there
}

/// Directories that must exist in an image so that the host's can be bound there.
[[nodiscard]] inline std::vector<std::string> cray_mount_points(Cray cray) {
  switch (cray) {
    case Cray::slingshot:
      return {"/var/lib/hugetlbfs", "/var/spool/slurmd"};
    case Cray::ugni:
      return {"/var/lib/hugetlbfs",   "/var/opt/cray/alps/spool",
              "/opt/cray/wlm_detect", "/etc/opt/cray/wlm_detect",
              "/opt/cray/udreg",      "/opt/cray/xpmem",
              "/opt/cray/ugni",       "/opt/cray/alps"};
    default:
      return {};
  }
}

/// Does the image's own environment file set `name`?
[[nodiscard]] inline bool image_sets(const ImageTree& tree, std::string_view name) {
  const auto text = tree.read("/ch/environment");
  return text && ranges::any_of(configuration_lines(*text), [name](const std::string& line) {
           return line.size() > name.size() && line.starts_with(name) && line[name.size()] == '=';
         });
}

/// The facts about the host and its environment that matter to a plan.
struct HostSettings {
  Cray cray = Cray::none;
  bool has_fi_provider = false;       // FI_PROVIDER is set
  bool has_fi_provider_path = false;  // FI_PROVIDER_PATH is set
};
[[nodiscard]] inline HostSettings settings_of_host() {
  return {cray_of_host(), std::getenv("FI_PROVIDER") != nullptr,
          std::getenv("FI_PROVIDER_PATH") != nullptr};
}

}  // namespace ch::injection
