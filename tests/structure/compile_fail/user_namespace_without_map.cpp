// SPDX-License-Identifier: Apache-2.0
// Without a map every id is the overflow id.
// expect: Charlie: in a new user namespace without a map every id is nobody;
// expect: ch::SameIds, or remove ch::ns::user.
#include "ch/container.hpp"

ch::Container<ch::NamespaceSet<ch::ns::user>, ch::HostMounts, ch::KeepIds> box;
