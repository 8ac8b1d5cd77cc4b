// SPDX-License-Identifier: Apache-2.0
//
// Floor 6d. Copies host files into images and removes them again: drivers, fabrics and tools with
// the libraries that they need. The functions behind ch-fromhost. With CHARLIE_INJECT_COMPILED
// defined, this only declares them, and a program links a library with the definitions; otherwise
// it needs libelf, nlohmann-json, yaml-cpp and range-v3.
#pragma once

#include "ch/inject/interface.hpp"

#if !defined(CHARLIE_INJECT_COMPILED)
#include "ch/inject/front.hpp"
#endif
