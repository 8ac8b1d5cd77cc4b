// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. What the arguments of ch-device can be, for its completions.
#pragma once

#include "apps/ch-device/option_table.hpp"
#include "ch/cli/completion.hpp"

namespace ch_device {

using ch::cli::Completes;

inline constexpr ch::cli::Argues argument_kinds[] = {
    {opt_cdi_dirs, Completes::directory}, {opt_device, Completes::nothing},
    {opt_image, Completes::directory},    {opt_ld_cache, Completes::file},
    {opt_run, Completes::file},
};

inline constexpr ch::cli::Tool documented{"ch-device", table, argument_kinds, {}};

}  // namespace ch_device
