// SPDX-License-Identifier: Apache-2.0
// unshare(CLONE_NEWPID) moves children only.
// expect: Charlie: a process can't move itself to a new pid or time namespace, only its
// expect: use ch::spawn or ch::run for this container
#include "ch/launch.hpp"

using Box = ch::Container<ch::NamespaceSet<ch::ns::user, ch::ns::pid>>;

ch::Result<void> enter_it(ch::kernel::Linux& k, ch::Arena& arena) {
  return ch::enter(k, Box{}, arena);
}
