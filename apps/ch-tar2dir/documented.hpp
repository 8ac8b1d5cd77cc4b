// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. What the arguments and operands of ch-tar2dir can be, for its completions. Each
// option of the table that takes an argument has a row: the tests see to it.
#pragma once

#include "apps/ch-tar2dir/option_table.hpp"
#include "ch/cli/completion.hpp"

namespace ch_tar2dir {

using ch::cli::Completes;

inline constexpr ch::cli::Argues argument_kinds[] = {
    {opt_contain, Completes::words, "auto always never"},
    {opt_image, Completes::nothing},
    {opt_max_files, Completes::nothing},
    {opt_max_size, Completes::nothing},
    {opt_platform, Completes::words, "linux/amd64 linux/arm64 linux/ppc64le linux/riscv64"},
    {opt_threads, Completes::nothing},
};

inline constexpr Completes operand_kinds[] = {Completes::file, Completes::directory};

inline constexpr ch::cli::Tool documented{"ch-tar2dir", table, argument_kinds, operand_kinds};

}  // namespace ch_tar2dir
