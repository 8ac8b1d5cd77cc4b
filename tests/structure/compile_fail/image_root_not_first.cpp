// SPDX-License-Identifier: Apache-2.0
// The root must come before what is mounted on it.
// expect: Charlie: the contributor that opens the image comes first: put ch::ImageRoot at
#include "ch/presets.hpp"

ch::Mounts<ch::Devices, ch::ImageRoot<>> mounts;
