// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, mount contributor: a layer over the image that holds changes, or only the mount points
// that the image lacks. Comes right after the image root.
#pragma once

#include "ch/plan/context.hpp"

namespace ch {

struct WritableLayer {
  static constexpr bool uses_scratch = true;
  static constexpr bool covers_image = true;
  OverlayKind kind = OverlayKind::if_needed;
  HostPath directory{};
  ZString scratch_size{};  // limits a layer in memory: "64m", "12%"

  void contribute(PlanBuilder& b, const PlanContext&) const noexcept {
    b.add(step::Overlay{kind, directory});
  }
};

}  // namespace ch
