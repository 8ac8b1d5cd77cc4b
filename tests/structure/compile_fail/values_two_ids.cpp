// SPDX-License-Identifier: Apache-2.0
// A process has only one user id inside.
// expect: Charlie: two policies of the same kind in ch::Compose
#include "ch/run.hpp"

const auto box = ch::compose(ch::image("/img"), ch::as_root, ch::same_ids);
