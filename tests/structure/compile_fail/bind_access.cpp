// SPDX-License-Identifier: Apache-2.0
// Access has two values.
// expect: Charlie: what a container may do with a path is ch::Access::read_only
#include "ch/run.hpp"

const auto data = ch::bind("/data", "/mnt/0", "ro");
