// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. The version, which the build system reads from here too, and as a number for the
// preprocessor.
#pragma once

#include "ch/kernel/language.hpp"

/// Major * 10000 + minor * 100 + patch: `#if CHARLIE_VERSION >= 100` is 0.1.0 and newer.
#define CHARLIE_VERSION 100

namespace ch {

inline constexpr const char* version = "0.1.0";

}  // namespace ch
