// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, mount contributor: the socket of MUNGE, by which Slurm's commands prove who
// they are, so that srun and sbatch work inside. Left out where host or image lacks the
// directory. Source: man 8 munged.
#pragma once

#include "ch/plan/context.hpp"

struct Munge {
  ch::HostPath socket_directory{"/run/munge"};

  void contribute(ch::PlanBuilder& b, const ch::PlanContext&) const noexcept {
    // Read-only keeps files from being changed; it does not keep anyone from connecting.
    b.add(ch::step::Bind{socket_directory, ch::ImagePath("/run/munge"), ch::Access::read_only,
                         ch::IfMissing::skip});
  }
};
