// SPDX-License-Identifier: Apache-2.0
// Only a new user namespace has maps to write.
// expect: Charlie: ids can only be mapped in a new user namespace;
// expect: or use ch::KeepIds if you are real root.
#include "ch/container.hpp"

ch::Container<ch::NamespaceSet<ch::ns::uts>, ch::HostMounts, ch::SameIds> box;
