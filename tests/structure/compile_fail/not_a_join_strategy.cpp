// SPDX-License-Identifier: Apache-2.0
// The fourth argument decides where the namespaces come from.
// expect: Charlie: the fourth argument of Container is a JoinStrategy: ch::Alone,
#include "ch/container.hpp"

ch::Container<ch::NamespaceSet<ch::ns::user>, ch::HostMounts, ch::SameIds, ch::Pid> box;
