// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. The hosted front of the library, for programs that may allocate: describe a container
// by values, run programs and functions in it, read their output. All errors are of type Failure,
// which explains itself. The code between clone and exec is that of launch.hpp. Needs Boost.Hana's
// headers, and libc. Independent of the tools and their options.
#pragma once

#include "ch/hosted/box.hpp"
#include "ch/hosted/call.hpp"
#include "ch/hosted/capture.hpp"
#include "ch/hosted/exec.hpp"
#include "ch/hosted/explained.hpp"
#include "ch/hosted/integrated_box.hpp"
#include "ch/hosted/spawn.hpp"
