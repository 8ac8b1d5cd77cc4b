// SPDX-License-Identifier: Apache-2.0
// host_integrated has devices anyway.
// expect: Charlie: ch::host_integrated has devices, host f
#include "ch/run.hpp"

const auto box = ch::host_integrated("/img", ch::devices);
