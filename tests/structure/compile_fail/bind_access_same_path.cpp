// SPDX-License-Identifier: Apache-2.0
// So it has where the destination is left out.
// expect: Charlie: what a container may do with a path is ch::Access::read_only
#include "ch/run.hpp"

const auto data = ch::bind("/data", true);
