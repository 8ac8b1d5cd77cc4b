// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, mount contributor: the socket of MUNGE, with which Slurm's commands authenticate,
// so that srun and sbatch work inside. Left out if the host or the image lacks the directory.
// Source: man 8 munged.
#pragma once

#include "ch/plan/context.hpp"

struct Munge {
  ch::HostPath socket_directory{"/run/munge"};

  void contribute(ch::PlanBuilder& b, const ch::PlanContext&) const noexcept {
    // Read-only keeps files from being changed; it does not prevent connecting.
    b.add(ch::step::Bind{socket_directory, ch::ImagePath("/run/munge"), ch::Access::read_only,
                         ch::IfMissing::skip});
  }
};
