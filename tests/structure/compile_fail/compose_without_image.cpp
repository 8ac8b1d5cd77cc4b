// SPDX-License-Identifier: Apache-2.0
// Nothing to bind to.
// expect: Charlie: Mounts<...> needs exactly one contributor that opens the image
#include "ch/run.hpp"

const auto box = ch::compose(ch::devices, ch::bind("/scratch"));
