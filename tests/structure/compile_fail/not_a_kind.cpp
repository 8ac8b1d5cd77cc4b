// SPDX-License-Identifier: Apache-2.0
// There are eight kinds of namespace, and int is not one of them.
// expect: Charlie: a NamespaceSet is made of ch::ns::user, mount, pid, net, ipc, uts,
// expect: one of the given types is none of these.
#include "ch/container.hpp"

ch::Container<ch::NamespaceSet<ch::ns::user, int>> box;
