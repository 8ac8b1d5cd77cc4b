// SPDX-License-Identifier: Apache-2.0
//
// charlie::image as a compiled library: the definitions of what ch/image.hpp declares. Without
// CHARLIE_IMAGE_COMPILED, the same sources are header-only.
#include "ch/image/unpack_archive.hpp"
