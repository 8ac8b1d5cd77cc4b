// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, mount contributor: the caller's home directory at /home/USER. Images are
// read-only and know no users, so a small tmpfs covers the image's /home and the mount
// point is made in that.
#pragma once

#include "ch/plan/context.hpp"

namespace ch {

struct Home {
  static constexpr bool uses_scratch = true;
  HostPath source{};  // empty: no home inside
  ZString user{};     // names the directory below /home

  void contribute(PlanBuilder& b, const PlanContext&) const noexcept {
    if (source.empty()) return;
    b.add(step::MakeScratchDirectory{ScratchPath("home")});
    b.add(step::MakeScratchDirectory{ScratchPath(b.text("home/", user.view()))});
    b.add(step::BindScratch{ScratchPath("home"), ImagePath("/home"), Access::read_write,
                            IfMissing::create});
    // If the home does not exist, as with many service accounts, it is empty inside. on_skipped
    // reports that, so that nobody loses files there unawares.
    b.add(step::Bind{source, ImagePath(b.text("/home/", user.view())), Access::read_write,
                     IfMissing::skip});
  }
};

}  // namespace ch
