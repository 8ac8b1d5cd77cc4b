// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. The version, in the one place that the build system reads it from too.
#pragma once

namespace ch {

inline constexpr const char* version = "0.1.0";

}  // namespace ch
