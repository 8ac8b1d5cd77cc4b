// SPDX-License-Identifier: Apache-2.0
//
// charlie::inject as a compiled library: what ch/inject.hpp declares, defined. The same sources
// are header-only where nobody says CHARLIE_INJECT_COMPILED.
#include "ch/inject/front.hpp"
