// SPDX-License-Identifier: Apache-2.0
// A path alone is no container, for functions as well.
// expect: Charlie: the first argument is a container: write ch::image(PATH)
#include "ch/run.hpp"

auto got = ch::call("/img", [] { return 1; });
