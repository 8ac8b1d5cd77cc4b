// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. The hosted front of the library, for programs that may allocate: describe a
// container by values, run programs and functions in it, read what they write. All errors are
// Failure, which explains itself. What runs between clone and exec is launch.hpp's, below.
// Needs Boost.Hana's headers, and libc. Depends on no option of the tools.
#pragma once

#include "ch/hosted/box.hpp"
#include "ch/hosted/call.hpp"
#include "ch/hosted/capture.hpp"
#include "ch/hosted/exec.hpp"
#include "ch/hosted/explained.hpp"
#include "ch/hosted/integrated_box.hpp"
#include "ch/hosted/spawn.hpp"
