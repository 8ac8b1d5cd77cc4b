// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, mount contributor: the image becomes the root, read-only by default, so that a thousand
// ranks can share it and none can break it.
#pragma once

#include "ch/plan/context.hpp"
#include "ch/types/setting.hpp"

namespace ch {

template <SettingOf<Access> AccessSetting = Chosen<Access>>
struct ImageRoot {
  static constexpr bool opens_image = true;
  HostPath image{};
  AccessSetting access{};
  Fd directory = Fd::none;  // of the image, if the caller has opened it already: must be the same
  FoundBy by = FoundBy::path;

  void contribute(PlanBuilder& b, const PlanContext&) const noexcept {
    b.add(step::OpenImage{image, access.value(), directory, by});
  }
};

}  // namespace ch
