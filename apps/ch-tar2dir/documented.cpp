// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. ch-tar2dir as its manual page and its completions see it. Part of
// charlie-docgen, not of ch-tar2dir.

#include "apps/ch-tar2dir/documented.hpp"

extern const ch::cli::Tool ch_tar2dir_documented;
const ch::cli::Tool ch_tar2dir_documented = ch_tar2dir::documented;
