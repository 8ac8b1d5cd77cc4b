// SPDX-License-Identifier: Apache-2.0
// A pid namespace ends with its first process, which is one of the group's.
// expect: Charlie: a pid or time namespace can't be shared by a group, since it ends with the
// expect: remove ch::ns::pid and ch::ns::time, or use ch::Alone.
#include "ch/presets.hpp"

ch::Container<ch::NamespaceSet<ch::ns::user, ch::ns::mount, ch::ns::pid>, ch::HostMounts,
              ch::SameIds, ch::PeerGroup>
    box;
