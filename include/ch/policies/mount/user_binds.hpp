// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, mount contributor: the host directories and files that the user asks for,
// in the given order, after everything else, so that they may cover it.
#pragma once

#include <span>

#include "ch/plan/context.hpp"

namespace ch {

struct UserBinds {
  std::span<const UserBind> binds{};

  void contribute(PlanBuilder& b, const PlanContext&) const noexcept {
    for (const UserBind& bind : binds)
      b.add(step::Bind{bind.source, bind.destination, bind.access, IfMissing::create});
  }
};

}  // namespace ch
