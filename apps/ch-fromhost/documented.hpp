// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. ch-fromhost as its manual page and its completions see it.
#pragma once

#include "apps/ch-fromhost/option_table.hpp"
#include "ch/cli/completion.hpp"

namespace ch_fromhost {

using ch::cli::Completes;

inline constexpr auto completions = ch::cli::completions_of(detail::rows);

inline constexpr Completes operand_kinds[] = {Completes::image};

inline constexpr ch::cli::Tool documented{"ch-fromhost", table, completions, operand_kinds};

}  // namespace ch_fromhost
