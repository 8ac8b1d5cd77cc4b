// SPDX-License-Identifier: Apache-2.0
//
// What needs_no_libc must find: an allocation.
#include "ch/launch.hpp"

int* launch(int n) noexcept;
int* launch(int n) noexcept { return new int[static_cast<unsigned>(n)]; }
