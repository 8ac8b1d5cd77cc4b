// SPDX-License-Identifier: Apache-2.0
// One user, not two.
// expect: Charlie: two values of ch::host_integrated contra
#include "ch/run.hpp"

const auto box = ch::host_integrated("/img", ch::as_root, ch::ids(ch::Uid{1}, ch::Gid{2}));
