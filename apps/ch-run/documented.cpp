// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. ch-run as its manual page and its completions see it. Part of charlie-docgen,
// not of ch-run.

#include "apps/ch-run/documented.hpp"

extern const ch::cli::Tool ch_run_documented;
const ch::cli::Tool ch_run_documented = ch_run::documented;
