// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Where an image will be: its name, its parent, and the temporary directory beside it, in
// which it is built. Source: image/atomic_directory.hpp.
#pragma once

#include "ch/image/member_path.hpp"
#include "ch/io/descriptor.hpp"

namespace ch::images {

struct DestinationNames {
  std::string parent, name, holder;  // holder: the temporary directory's name in the parent

  /// Throws refused if `destination` can't name a new directory.
  explicit DestinationNames(const std::string& destination) {
    std::string trimmed = destination;
    while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
    const std::size_t slash = trimmed.rfind('/');
    name = slash == std::string::npos ? trimmed : trimmed.substr(slash + 1);
    parent = slash == std::string::npos ? "." : slash == 0 ? "/" : trimmed.substr(0, slash);
    if (name.empty() || name == "." || name == "..")
      throw io::Failed(io::Reason::refused, destination,
                       "this can't be the name of a new directory",
                       "give the image's own name, such as ./image");
    holder = ".ch-tar2dir." + name;
    if (holder.size() > max_name)
      throw io::Failed(io::Reason::refused, destination, "the name is too long",
                       "choose one of at most " +
                           std::to_string(max_name - holder.size() + name.size()) + " bytes");
  }
  /// Throws what man 2 open says.
  [[nodiscard]] io::Descriptor open_parent() const {
    io::Descriptor fd(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd && errno == ENOENT)
      throw io::Failed(io::Reason::system, parent,
                       "there is no such directory to make the image in",
                       "make it: mkdir -p " + parent, ENOENT);
    if (!fd && errno == ENOTDIR)
      throw io::Failed(io::Reason::system, parent,
                       "this is not a directory, so no image can be made in it",
                       "choose another place for the image", ENOTDIR);
    if (!fd) io::throw_errno("open directory", parent);
    return fd;
  }
  [[nodiscard]] std::string holder_path() const { return parent + '/' + holder; }
};

}  // namespace ch::images
