// SPDX-License-Identifier: Apache-2.0
// A kind alone is not a set.
// expect: Charlie: the first argument of Container is a ch::NamespaceSet<...>.
#include "ch/container.hpp"

ch::Container<ch::ns::user> box;
