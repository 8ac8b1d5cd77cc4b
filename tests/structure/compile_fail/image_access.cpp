// SPDX-License-Identifier: Apache-2.0
// So it has for an image.
// expect: Charlie: what a container may do with a path is ch::Access::read_only
#include "ch/run.hpp"

const auto image = ch::image("/img", "rw");
