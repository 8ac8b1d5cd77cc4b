// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. The steps MeetPeers and AdmitPeers: implemented in meet/, on the Gathering of this
// execution. Runs between clone and exec.
#pragma once

#include "ch/execute/perform.hpp"
#include "ch/meet/admission.hpp"
#include "ch/meet/meet.hpp"

namespace ch {

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState& a, const step::MeetPeers&) noexcept {
  return meet(k, *a.gathering);
}

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState& a, const step::AdmitPeers&) noexcept {
  return admit(k, *a.gathering);
}

}  // namespace ch
