// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Is this directory what a run that died has left? Whoever may write its parent can give
// another directory of the caller's the name of our temporary one, and it must not be removed.
// Source: image/atomic_directory.hpp.
#pragma once

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

}  // namespace ch::images
