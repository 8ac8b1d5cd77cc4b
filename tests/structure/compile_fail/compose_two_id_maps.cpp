// SPDX-License-Identifier: Apache-2.0
// A user can't be both root and unchanged inside.
// expect: Charlie: two policies of the same kind in ch::Compose; remove one of them.
#include "ch/compose.hpp"

ch::Compose<ch::AsRoot, ch::SameIds> box;
