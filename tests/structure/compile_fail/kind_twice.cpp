// SPDX-License-Identifier: Apache-2.0
// A set has each element only once.
// expect: Charlie: a kind is named twice in this NamespaceSet; name each once.
#include "ch/container.hpp"

ch::Container<ch::NamespaceSet<ch::ns::user, ch::ns::uts, ch::ns::uts>> box;
