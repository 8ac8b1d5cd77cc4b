// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. What ch-run's exit status means when it is not the command's.
#pragma once

namespace ch_run {

inline constexpr int exit_container = 31;  // the container could not be made
inline constexpr int exit_command = 49;    // it was made, but the command could not be started
inline constexpr int exit_usage = 64;      // as EX_USAGE of sysexits.h

}  // namespace ch_run
