// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Is this directory a leftover of a run that died? Whoever may write to its parent can
// give the name of our temporary directory to another directory of the caller, which must not be
// removed.
// Source: image/atomic_directory.hpp.
#pragma once

#include "ch/image/image_mark.hpp"
#include "ch/image/image_users.hpp"
#include "ch/image/remove_tree.hpp"
#include "ch/image/work_record.hpp"

namespace ch::images {

/// An image of this name in a temporary directory was in use when it was replaced, and must stay.
inline constexpr const char* kept_name = "kept";

/// Throws refused if the contents of the directory `holder` show that it is not such a leftover.
/// Ours have a record, which is created first and removed last. Throws what man 3 readdir says.
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
                     "this has the name of our temporary directory, but lacks the file " +
                         std::string(WorkRecord::file_name) + " that ours have",
                     "rename it, or remove it if nothing in it is needed");
}

/// If `holder` has a replaced image that containers still use, because its run died before it could
/// rename it, renames it to kept_name. Is there such an image, new or old? If unsure, true.
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
