// SPDX-License-Identifier: Apache-2.0
// What an image that feels like the host has anyway.
// expect: Charlie: ch::host_integrated has devices, host f
#include "ch/run.hpp"

const auto box = ch::host_integrated("/img", ch::devices);
