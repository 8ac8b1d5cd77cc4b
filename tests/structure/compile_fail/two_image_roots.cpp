// SPDX-License-Identifier: Apache-2.0
// A container has one root.
// expect: Charlie: Mounts<...> needs exactly one contributor that opens the image;
// expect: ch::ImageRoot, or remove the second.
#include "ch/presets.hpp"

ch::Mounts<ch::ImageRoot<>, ch::ImageRoot<ch::Fixed<ch::Access::read_only>>> mounts;
