// SPDX-License-Identifier: Apache-2.0
// A part of a container is none.
// expect: Charlie: the first argument is a container: write ch::image(PATH)
#include "ch/run.hpp"

auto got = ch::capture(ch::bind("/scratch"), {"true"});
