// SPDX-License-Identifier: Apache-2.0
// Which is the user?
// expect: Charlie: write ch::ids(ch::Uid{...}, ch::Gid{...}).
#include "ch/run.hpp"

const auto box = ch::compose(ch::image("/img"), ch::ids(1000, 100));
