// SPDX-License-Identifier: Apache-2.0
// A layer over the root hides what was mounted on the image before.
// expect: Charlie: a contributor that covers the image hides what is mounted before it: put
// expect: ch::WritableLayer right after ch::ImageRoot, or let ch::compose order them.
#include "ch/presets.hpp"

ch::Mounts<ch::ImageRoot<>, ch::Devices, ch::WritableLayer> mounts;
