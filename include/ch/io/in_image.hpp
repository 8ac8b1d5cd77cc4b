// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. Paths in an image, as a process inside would find them: all go through the one in-root
// resolver, since an image's links may point anywhere (/etc/resolv.conf often is one). The target
// of a dangling link is made where the container would look for it.
// Source: kernel/in_root.hpp, kernel/make_in_root.hpp.
#pragma once

#include <memory>
#include <vector>

#include "ch/io/descriptor.hpp"
#include "ch/kernel/make_in_root.hpp"

namespace ch::io {

/// Opens `path` in the image `root`; "" is the root. None if there is no such thing, and then
/// errno is ENOENT, ENOTDIR or ELOOP; throws for other failures.
inline Descriptor open_in_image(int root, const std::string& path, std::uint64_t flags) {
  kernel::Linux k;
  const auto opened = kernel::open_in_root(k, Fd{root}, path.empty() ? "/" : path.c_str(), flags);
  if (opened.ok()) return Descriptor(static_cast<int>(opened.value()));
  errno = static_cast<int>(opened.error());
  if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return {};
  throw_errno("open in the image", path);
}

/// Where `path` leads: absolute in the image, free of links and "..", whether it exists or not;
/// "" is the root. Throws if the path leaves the image's file system (EXDEV) or passes through
/// something other than a directory.
[[nodiscard]] inline std::string locate_in_image(int root, const std::string& path) {
  const auto walk = std::make_unique<kernel::RootWalk>();  // the stack may be no larger than this
  TextBuffer<kernel::RootWalk::max_path> names;
  kernel::Linux k;
  const auto located = walk->locate(k, Fd{root}, path.c_str(), names);
  if (!located.ok())
    throw_errno("find the path in the image", path, static_cast<int>(located.error()));
  return std::string(names.view());
}

/// What make_in_image did.
enum class Made : std::uint8_t { was_there, made, other_kind };

/// Paths that were made in an image, in order.
using MadePaths = std::vector<std::string>;

/// Makes sure that `path` exists in the image, as a directory (0755) or an empty file (0644).
/// Whatever exists is kept, even if of another kind. What is made, parents included, is noted in
/// `made`. Throws ELOOP for circular links, ENOTDIR for a file among the parents.
inline Made make_in_image(int root, const std::string& path, kernel::MountPoint kind,
                          MadePaths& made) {
  const bool directory = kind == kernel::MountPoint::directory;
  if (const Descriptor there = open_in_image(root, path, kernel::o_path))
    return S_ISDIR(status_of(there, path).st_mode) == directory ? Made::was_there
                                                                : Made::other_kind;
  if (errno != ENOENT) throw_errno("make", path);
  const std::string place = locate_in_image(root, path);
  kernel::Linux k;
  std::uint8_t first = 0;
  for (std::size_t end = 0; end != place.size();) {
    end = std::min(place.find('/', end + 1), place.size());
    const std::string here = place.substr(0, end);
    const auto wanted = end == place.size() ? kind : kernel::MountPoint::directory;
    first = 0;
    const auto done = kernel::make_names(k, Fd{root}, here, wanted, first);
    if (!done.ok()) throw_errno("make", path, static_cast<int>(done.error()));
    if (first == 0) continue;  // it was there
    made.push_back(here);
    // Whatever the umask. The name was made just now, so it is no link.
    const Descriptor above = open_in_image(root, std::string(parent_of(here)), kernel::o_path);
    const mode_t mode = wanted == kernel::MountPoint::directory ? 0755 : 0644;
    if (!above || ::fchmodat(above.get(), here.c_str() + parent_of(here).size() + 1, mode, 0) != 0)
      throw_errno("set the mode of", here);
  }
  return first == 0 ? Made::other_kind : Made::made;
}

}  // namespace ch::io
