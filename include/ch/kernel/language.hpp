// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. Included before anything else by every header that includes no other of ours, so that
// with an older language standard the first error message says so. Source: ISO C++20,
// [cpp.predefined].
#pragma once

#if !defined(__cplusplus) || __cplusplus < 202002L
#error "Charlie needs C++20: compile with -std=c++20 or newer (g++ 12, clang++ 14)."
#endif
