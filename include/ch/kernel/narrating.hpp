// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. A Kernel that prints each system call it passes on: `ch-run -vv`, and a way to see how a
// container is made without strace.
#pragma once

#include "ch/kernel/describe.hpp"

namespace ch::kernel {

/// Wraps `K`; after each call passes one line, with its newline, to `sink`. execve, which does not
/// return on success, is printed before the call.
template <Kernel K, class Sink>
class Narrating {
 public:
  Narrating(K& inner, Sink sink) noexcept : inner_(inner), sink_(sink) {}

  template <class... Arguments>
  long call(Call which, Arguments... arguments) noexcept {
    const long a[6 + 1] = {arguments...};
    if (which == Call::execve) tell(which, std::span<const long>(a, sizeof...(Arguments)));
    const long result = inner_.call(which, arguments...);
    if (which != Call::execve || result < 0)
      tell(which, std::span<const long>(a, sizeof...(Arguments)), result);
    return result;
  }

 private:
  template <class... What>
  void tell(const What&... what) noexcept {
    TextBuffer<512> line;
    describe(line, what...);
    line << '\n';
    sink_(line.view());
  }

  K& inner_;
  Sink sink_;
};

}  // namespace ch::kernel
