// SPDX-License-Identifier: Apache-2.0
//
// Floor 6d. ch::unpack: an archive becomes an image, in one call. With CHARLIE_IMAGE_COMPILED
// defined, this only declares it, a compiled library has the definition, and no parser or
// decompression library is included; otherwise it is header-only.
#pragma once

#include "ch/image/unpack_declared.hpp"

#if !defined(CHARLIE_IMAGE_COMPILED)
#include "ch/image/unpack_archive.hpp"
#endif
