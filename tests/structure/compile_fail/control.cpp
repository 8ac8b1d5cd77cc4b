// SPDX-License-Identifier: Apache-2.0
// Does correctly what the others do wrong: this one compiles.
#include "ch/launch.hpp"
#include "ch/presets.hpp"

using Box = ch::Container<ch::NamespaceSet<ch::ns::user, ch::ns::mount>,
                          ch::Mounts<ch::ImageRoot<>, ch::Devices>, ch::SameIds, ch::Alone>;

ch::Result<void> control(ch::kernel::Linux& k, ch::Arena& arena) {
  return ch::enter(k, Box{}, arena);
}
