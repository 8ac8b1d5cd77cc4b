// SPDX-License-Identifier: Apache-2.0
// Mounts need a root to be mounted on.
// expect: Charlie: Mounts<...> needs exactly one contributor that opens the image;
#include "ch/presets.hpp"

ch::Mounts<ch::Devices, ch::HostFiles> mounts;
