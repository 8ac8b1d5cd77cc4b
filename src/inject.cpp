// SPDX-License-Identifier: Apache-2.0
//
// charlie::inject as a compiled library: the definitions of what ch/inject.hpp declares. Without
// CHARLIE_INJECT_COMPILED, the same sources are header-only.
#include "ch/inject/front.hpp"
