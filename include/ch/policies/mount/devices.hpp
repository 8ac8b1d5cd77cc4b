// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, mount contributor: /dev, /proc and /sys of the host, with everything mounted below:
// GPUs, InfiniBand and the scheduler's control groups included. An image without these directories
// can't run programs, so a missing one is an error.
#pragma once

#include "ch/plan/context.hpp"

namespace ch {

struct Devices {
  void contribute(PlanBuilder& b, const PlanContext& c) const noexcept {
    b.add(step::Bind{HostPath("/dev"), ImagePath("/dev")});
    // A new pid namespace needs its own proc: the host's shows the host's pids.
    if (contains(c.namespaces, static_cast<NamespaceFlags>(kernel::clone_newpid)))
      b.add(step::MountFilesystem{"proc", ImagePath("/proc")});
    else
      b.add(step::Bind{HostPath("/proc"), ImagePath("/proc")});
    b.add(step::Bind{HostPath("/sys"), ImagePath("/sys")});
  }
};

}  // namespace ch
