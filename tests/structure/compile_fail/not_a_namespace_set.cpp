// SPDX-License-Identifier: Apache-2.0
// A kind is not yet a set.
// expect: Charlie: the first argument of Container is a ch::NamespaceSet<...>.
#include "ch/container.hpp"

ch::Container<ch::ns::user> box;
