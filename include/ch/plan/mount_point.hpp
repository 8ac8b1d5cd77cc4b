// SPDX-License-Identifier: Apache-2.0
//
// Floor 3a. Which mount points the steps of a plan may have to create. Used for a layer, in which
// they are created before it is mounted, and for the shell script that does the same.
#pragma once

#include <span>

#include "ch/plan/step.hpp"

namespace ch::detail {

/// The mount point that a step needs and may create.
struct CreatedMountPoint {
  ImagePath destination{};
  HostPath source{};      // decides between directory and file,
  ScratchPath scratch{};  // or this does; if both are empty, a directory
  bool wanted = false;    // false: the step creates no mount point

  explicit CreatedMountPoint(const Step& step) noexcept {
    if (const auto* bind = std::get_if<step::Bind>(&step)) {
      destination = bind->destination;
      source = bind->source;
      wanted = bind->if_missing == IfMissing::create;
    }
    if (const auto* generated = std::get_if<step::BindScratch>(&step)) {
      destination = generated->destination;
      scratch = generated->source;
      wanted = generated->if_missing == IfMissing::create;
    }
    if (const auto* mounts = std::get_if<step::MountFilesystem>(&step)) {
      destination = mounts->destination;
      wanted = true;
    }
  }
};

/// Do the steps write a file at `path`? Else it is a directory.
[[nodiscard]] inline bool is_scratch_file(std::span<const Step> steps, ScratchPath path) noexcept {
  for (const Step& step : steps)
    if (const auto* written = std::get_if<step::WriteScratchFile>(&step))
      if (written->path.view() == path.view()) return true;
  return false;
}

/// Where a step puts a new file system, and the rest of a path below it. Empty: there is none.
struct OwnPlace {
  ZString directory{};
  ZString rest{};
};

/// The file system, made by one of `steps`, that `path` leads to: by its text, since in new file
/// systems there are no links. Missing mount points can be created there.
[[nodiscard]] inline OwnPlace own_place(std::span<const Step> steps, ZString path) noexcept {
  OwnPlace found;
  for (const Step& step : steps) {
    const auto* mounts = std::get_if<step::MountFilesystem>(&step);
    const auto* binds = std::get_if<step::BindScratch>(&step);
    if (mounts == nullptr && binds == nullptr) continue;
    const ZString at = (mounts != nullptr ? mounts->destination : binds->destination).text;
    if (at.size() >= path.size() || path.c_str()[at.size()] != '/') continue;
    if (head(path.view(), at.size()) == at.view()) found = {at, path.c_str() + at.size()};
  }
  return found;
}

}  // namespace ch::detail
