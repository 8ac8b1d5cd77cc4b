// SPDX-License-Identifier: Apache-2.0
// A bind is never a mount of something else.
// expect: deleted
#include "ch/launch.hpp"

const bool same = ch::step::Bind{} == ch::step::MountFilesystem{};
