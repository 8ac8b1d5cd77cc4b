// SPDX-License-Identifier: Apache-2.0
// Mounts without a mount namespace would be made on the host.
// expect: Charlie: this container mounts file systems but keeps the host's mount
// expect: add ch::ns::mount to its NamespaceSet.
#include "ch/presets.hpp"

ch::Container<ch::NamespaceSet<ch::ns::user>, ch::Mounts<ch::ImageRoot<>>> box;
