// SPDX-License-Identifier: Apache-2.0
// Which of the two would get its options?
// expect: Charlie: a mount contributor is given twice
#include "ch/presets.hpp"

ch::Mounts<ch::ImageRoot<>, ch::Devices, ch::Devices> mounts;
