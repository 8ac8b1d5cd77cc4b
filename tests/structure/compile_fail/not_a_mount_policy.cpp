// SPDX-License-Identifier: Apache-2.0
// A contributor alone is not a mount policy.
// expect: Charlie: the second argument of Container is a MountPolicy: ch::Mounts<...> or
#include "ch/presets.hpp"

ch::Container<ch::NamespaceSet<ch::ns::user, ch::ns::mount>, ch::Devices> box;
