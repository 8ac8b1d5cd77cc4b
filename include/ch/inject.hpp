// SPDX-License-Identifier: Apache-2.0
//
// Floor 6d. Host files into images, and out of them again: drivers, fabrics, tools, with the
// libraries that they need. What ch-fromhost is made of. With CHARLIE_INJECT_COMPILED defined it
// only declares, and a program needs a library that has the definitions; else it brings libelf,
// nlohmann-json, yaml-cpp and range-v3.
#pragma once

#include "ch/inject/interface.hpp"

#if !defined(CHARLIE_INJECT_COMPILED)
#include "ch/inject/front.hpp"
#endif
