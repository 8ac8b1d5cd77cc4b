// SPDX-License-Identifier: Apache-2.0
//
// Floor 6d. ch::unpack: an archive becomes an image, in one call. With CHARLIE_IMAGE_COMPILED,
// where a compiled library has the definition, this only declares it and includes no parser and
// no library of the parsers'; else it is all here.
#pragma once

#include "ch/image/unpack_declared.hpp"

#if !defined(CHARLIE_IMAGE_COMPILED)
#include "ch/image/unpack_archive.hpp"
#endif
