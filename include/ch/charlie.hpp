// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. The library without archives and injection: the launch path with all its policies and,
// where Boost.Hana is installed, the hosted front. To compile faster, include only the headers you
// use.
#pragma once

#include "ch/host_integrated.hpp"
#include "ch/launch.hpp"
#include "ch/presets.hpp"
#include "ch/version.hpp"

#if __STDC_HOSTED__ && __has_include(<boost/hana/tuple.hpp>)
#include "ch/run.hpp"
#endif
