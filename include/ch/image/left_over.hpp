// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Is this directory what a run that died has left? Whoever may write its parent can give
// another directory of the caller's the name of our temporary one, and it must not be removed.
// Source: image/atomic_directory.hpp.
#pragma once

#include "ch/image/image_mark.hpp"
#include "ch/image/image_users.hpp"
#include "ch/image/remove_tree.hpp"
#include "ch/image/work_record.hpp"

namespace ch::images {

/// What is called so in a temporary directory was in use when it was replaced, and is to stay.
inline constexpr const char* kept_name = "kept";

/// Throws refused if anything in the directory `holder` tells that it is not such a leftover.
/// Ours have a record, which is made before all else in them and removed last. Throws what man 3
/// readdir says.
inline void refuse_unless_left_over(int holder, const std::string& path) {
  const std::vector<std::string> all = io::names_in(holder);
  const auto has = [&all](const char* name) {
    return std::find(all.begin(), all.end(), name) != all.end();
  };
  if (has(kept_name))
    throw io::Failed(io::Reason::refused, path + '/' + kept_name,
                     "this image was in use when it was replaced, and could not be renamed",
                     "remove it when its containers have ended, or move it to another place");
  for (const std::string& name : all)
    if (name != "image" && name != "old" && name != "new" && name != WorkRecord::file_name)
      throw io::Failed(io::Reason::refused, path,
                       "this has the name of our temporary directory, but contains " + name,
                       "rename it, or choose another name for the image");
  if (!all.empty() && !has(WorkRecord::file_name))
    throw io::Failed(io::Reason::refused, path,
                     "this has the name of our temporary directory, but not the file " +
                         std::string(WorkRecord::file_name) + " that ours have",
                     "rename it, or remove it if nothing in it is of use");
}

/// A replaced image in `holder` that containers use, and whose run died before it could keep it,
/// gets the name that keeps it. Is there one, from now or from before? What can't be told is one.
[[nodiscard]] inline bool keeps_used(int holder, const UsersOf& users) noexcept try {
  struct stat status {};
  for (const char* name : {"image", "old"}) {
    if (!io::status_of(holder, name, status) || !S_ISDIR(status.st_mode)) continue;
    const io::Descriptor image = io::open_directory(holder, name);
    if (looks_like_image(image.get()) && !users(image.get()).empty())
      (void)::renameat(holder, name, holder, kept_name);
  }
  return io::status_of(holder, kept_name, status);
} catch (...) {
  return true;
}

}  // namespace ch::images
