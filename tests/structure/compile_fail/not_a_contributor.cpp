// SPDX-License-Identifier: Apache-2.0
// A contributor has a contribute of the two arguments; this one takes one.
// expect: Charlie: Mounts<...> takes mount contributors: a type with
#include "ch/presets.hpp"

struct Forgetful {
  void contribute(ch::PlanBuilder&) const noexcept {}
};
ch::Mounts<ch::ImageRoot<>, Forgetful> mounts;
