// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. What the arguments and operands of ch-fromhost can be, for its completions.
#pragma once

#include "apps/ch-fromhost/option_table.hpp"
#include "ch/cli/completion.hpp"

namespace ch_fromhost {

using ch::cli::Completes;

inline constexpr ch::cli::Argues argument_kinds[] = {
    {opt_cdi, Completes::nothing}, {opt_cdi_dirs, Completes::directory},
    {opt_cmd, Completes::nothing}, {opt_dest, Completes::image_directory},
    {opt_file, Completes::file},   {opt_path, Completes::file},
};

inline constexpr Completes operand_kinds[] = {Completes::image};

inline constexpr ch::cli::Tool documented{"ch-fromhost", table, argument_kinds, operand_kinds};

}  // namespace ch_fromhost
