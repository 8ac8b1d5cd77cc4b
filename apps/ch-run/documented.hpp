// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. ch-run as its manual page and its completions see it.
#pragma once

#include "apps/ch-run/option_table.hpp"
#include "ch/cli/completion.hpp"

namespace ch_run {

using ch::cli::Completes;

inline constexpr auto completions = ch::cli::completions_of(detail::rows);

inline constexpr Completes operand_kinds[] = {Completes::image, Completes::image_program,
                                              Completes::file};

inline constexpr ch::cli::Tool documented{"ch-run", table, completions, operand_kinds};

}  // namespace ch_run
