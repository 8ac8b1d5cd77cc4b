// SPDX-License-Identifier: Apache-2.0
// int is not a policy.
// expect: Charlie: ch::Compose takes a NamespaceSet, mount contributors, an IdMapPolicy and
// expect: one of the given types is none of these.
#include "ch/compose.hpp"

ch::Compose<int> box;
