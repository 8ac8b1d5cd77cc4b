// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. ch-device as its manual page and its completions see it.
#pragma once

#include "apps/ch-device/option_table.hpp"
#include "ch/cli/completion.hpp"

namespace ch_device {

using ch::cli::Completes;

inline constexpr auto completions = ch::cli::completions_of(detail::rows);
inline constexpr ch::cli::Tool documented{"ch-device", table, completions, {}};

}  // namespace ch_device
