// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, mount contributor: the few files that make a container part of its host's
// network: names, resolver, and the machine's identity, which D-Bus and MPI libraries
// read. Read-only; each is left out where host or image lacks it.
// Source: man 5 hosts, resolv.conf, machine-id.
#pragma once

#include "ch/plan/context.hpp"

namespace ch {

struct HostFiles {

  void contribute(PlanBuilder& b, const PlanContext&) const noexcept {
    for (const char* file : {"/etc/hosts", "/etc/resolv.conf", "/etc/machine-id"})
      b.add(step::Bind{HostPath(file), ImagePath(file), Access::read_only, IfMissing::skip});
  }
};

}  // namespace ch
