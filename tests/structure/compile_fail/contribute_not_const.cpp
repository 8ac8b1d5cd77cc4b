// SPDX-License-Identifier: Apache-2.0
// The likeliest mistake in a custom contributor.
// expect: Charlie: a mount contributor only describes: declare its contribute const
#include "ch/presets.hpp"

struct Careless {
  void contribute(ch::PlanBuilder& b, const ch::PlanContext&) { b.bind("/lustre", "/lustre"); }
};
ch::Mounts<ch::ImageRoot<>, Careless> mounts;
