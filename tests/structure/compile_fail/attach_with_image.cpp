// SPDX-License-Identifier: Apache-2.0
// A container that is joined has an image already.
// expect: Charlie: ch::attach joins a container that exists already
#include "ch/run.hpp"

const auto box = ch::compose(ch::image("/img"), ch::attach(5));
