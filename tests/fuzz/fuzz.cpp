// SPDX-License-Identifier: Apache-2.0
//
// libFuzzer's entry point, one program for all targets; the variable CHARLIE_FUZZ names the
// target. The targets are in image.cpp, inject.cpp and commands.cpp.

#include "tests/fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const char* const target = std::getenv("CHARLIE_FUZZ");
  if (target == nullptr) fuzz::wrong("CHARLIE_FUZZ names no target");
  fuzz::run_target(target, {reinterpret_cast<const char*>(data), size});
  return 0;
}
