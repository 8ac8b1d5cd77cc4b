// SPDX-License-Identifier: Apache-2.0
// A path may be an image, a bind or something else.
// expect: Charlie: ch::compose takes values such as ch::image(PATH), ch::bind(PATH)
#include "ch/run.hpp"

const auto box = ch::compose("/img");
