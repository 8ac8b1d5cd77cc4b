// SPDX-License-Identifier: Apache-2.0
// Ids are a policy, not a number.
// expect: Charlie: the third argument of Container is an IdMapPolicy: ch::SameIds,
#include "ch/container.hpp"

ch::Container<ch::NamespaceSet<ch::ns::user>, ch::HostMounts, ch::Uid> box;
