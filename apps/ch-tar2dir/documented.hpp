// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. ch-tar2dir as its manual page and its completions see it.
#pragma once

#include "apps/ch-tar2dir/option_table.hpp"
#include "ch/cli/completion.hpp"

namespace ch_tar2dir {

using ch::cli::Completes;

inline constexpr auto completions = ch::cli::completions_of(detail::rows);

inline constexpr Completes operand_kinds[] = {Completes::file, Completes::directory};

inline constexpr ch::cli::Tool documented{"ch-tar2dir", table, completions, operand_kinds};

}  // namespace ch_tar2dir
