// SPDX-License-Identifier: Apache-2.0
// A contributor is not yet a mount policy.
// expect: Charlie: the second argument of Container is a MountPolicy: ch::Mounts<...> or
#include "ch/presets.hpp"

ch::Container<ch::NamespaceSet<ch::ns::user, ch::ns::mount>, ch::Devices> box;
