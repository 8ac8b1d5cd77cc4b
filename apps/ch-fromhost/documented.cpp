// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. ch-fromhost as its manual page and its completions see it. Part of
// charlie-docgen, not of ch-fromhost.

#include "apps/ch-fromhost/documented.hpp"

extern const ch::cli::Tool ch_fromhost_documented;
const ch::cli::Tool ch_fromhost_documented = ch_fromhost::documented;
