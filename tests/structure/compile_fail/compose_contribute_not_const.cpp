// SPDX-License-Identifier: Apache-2.0
// The likeliest mistake in a contributor, reported by compose too.
// expect: Charlie: a mount contributor only describes: declare its contribute const
#include "ch/run.hpp"

struct Careless {
  void contribute(ch::PlanBuilder& b, const ch::PlanContext&) { b.bind("/lustre", "/lustre"); }
};
const auto box = ch::compose(ch::image("/img"), Careless{});
