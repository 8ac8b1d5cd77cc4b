// SPDX-License-Identifier: Apache-2.0
// A path alone is no container.
// expect: Charlie: the first argument is a container: write ch::image(PATH)
#include "ch/run.hpp"

auto end = ch::run("/img", {"true"});
