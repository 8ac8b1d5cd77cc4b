// SPDX-License-Identifier: Apache-2.0
//
// Test support: the real kernel without one of its calls, as if with an old kernel or a seccomp
// filter.
#pragma once

#include "ch/kernel/kernel.hpp"

namespace test {

struct HidingKernel {
  ch::kernel::Call hidden;
  ch::kernel::Errno code = ch::kernel::Errno::enosys;
  ch::kernel::Linux linux_kernel{};

  template <class... Arguments>
  long call(ch::kernel::Call which, Arguments... arguments) noexcept {
    if (which == hidden) return -static_cast<long>(code);
    return linux_kernel.call(which, arguments...);
  }
};

}  // namespace test
