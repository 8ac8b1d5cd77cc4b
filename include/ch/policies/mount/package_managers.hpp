// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, mount contributor: what package managers need under root emulation. apt downloads as the
// user _apt and checks that it has become that user, which emulation can't fake; a configuration
// file, named by the variable APT_CONFIG, tells it to stay root. The image does not change.
// Source: man 5 apt.conf, "APT::Sandbox::User"; man 8 apt.
#pragma once

#include "ch/plan/context.hpp"

namespace ch {

struct PackageManagers {
  static constexpr bool uses_scratch = true;
  /// Where the file is inside: in the tmpfs of Home, which must come before.
  static constexpr const char* apt_configuration = "/home/.charlie-apt.conf";

  bool emulate_root = false;

  void contribute(PlanBuilder& b, const PlanContext&) const noexcept {
    if (emulate_root)
      b.add(step::WriteScratchFile{ScratchPath("home/.charlie-apt.conf"),
                                   "APT::Sandbox::User \"root\";\n"});
  }
};

}  // namespace ch
