// SPDX-License-Identifier: Apache-2.0
//
// charlie::image as a compiled library: what ch/image.hpp declares, defined. The same sources
// are header-only where nobody says CHARLIE_IMAGE_COMPILED.
#include "ch/image/unpack_archive.hpp"
