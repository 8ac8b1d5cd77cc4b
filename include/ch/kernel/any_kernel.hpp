// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. A Kernel chosen at run time: code that is instantiated with it exists once, whatever
// Kernel is behind it. For a tool's rare paths, where code size matters and an indirect call per
// system call does not.
#pragma once

#include "ch/kernel/kernel.hpp"

namespace ch::kernel {

/// Refers to a kernel of any type, which must outlive it.
class AnyKernel {
 public:
  template <Kernel K>
  explicit AnyKernel(K& kernel) noexcept
      : self_(&kernel), call_([](void* self, Call which, const long* a) noexcept {
          return static_cast<K*>(self)->call(which, a[0], a[1], a[2], a[3], a[4], a[5]);
        }) {}

  template <class... Arguments>
    requires(sizeof...(Arguments) <= 6 && (std::same_as<Arguments, long> && ...))
  long call(Call which, Arguments... arguments) noexcept {
    const long a[6] = {arguments...};
    return call_(self_, which, a);
  }

 private:
  void* self_;
  long (*call_)(void*, Call, const long*) noexcept;
};
static_assert(Kernel<AnyKernel>);

}  // namespace ch::kernel
