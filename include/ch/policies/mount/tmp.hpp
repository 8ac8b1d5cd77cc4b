// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, mount contributor: /tmp, shared with the host (where MPI ranks meet and jobs
// leave their results) or a tmpfs that only this container sees.
#pragma once

#include "ch/plan/context.hpp"
#include "ch/types/setting.hpp"

namespace ch {

enum class TmpKind : std::uint8_t { shared_with_host, private_tmpfs };

template <SettingOf<TmpKind> KindSetting = Chosen<TmpKind>>
struct Tmp {
  KindSetting kind{};

  void contribute(PlanBuilder& b, const PlanContext&) const noexcept {
    if (kind.value() == TmpKind::private_tmpfs)
      b.add(step::MountFilesystem{"tmpfs", ImagePath("/tmp")});
    else
      b.add(step::Bind{HostPath("/tmp"), ImagePath("/tmp"), Access::read_write, IfMissing::create});
  }
};

}  // namespace ch
