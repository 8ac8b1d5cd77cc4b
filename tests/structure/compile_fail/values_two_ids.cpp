// SPDX-License-Identifier: Apache-2.0
// One can be one user only.
// expect: Charlie: two policies of the same kind in ch::Compose
#include "ch/run.hpp"

const auto box = ch::compose(ch::image("/img"), ch::as_root, ch::same_ids);
