// SPDX-License-Identifier: Apache-2.0
// A contributor says whether it uses scratch; this one does not.
// expect: Charlie: Mounts<...> takes mount contributors: a type with a static uses_scratch
#include "ch/presets.hpp"

struct Forgetful {
  void contribute(ch::PlanBuilder&, const ch::PlanContext&) const noexcept {}
};
ch::Mounts<ch::ImageRoot<>, Forgetful> mounts;
