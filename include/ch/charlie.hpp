// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. The launch path with all its policies, and composition where Boost.Hana is to be
// found. Programs that watch their compile times include what they use instead.
#pragma once

#include "ch/host_integrated.hpp"
#include "ch/launch.hpp"
#include "ch/presets.hpp"
#include "ch/version.hpp"

#if __has_include(<boost/hana/tuple.hpp>)
#include "ch/compose.hpp"
#endif
