// SPDX-License-Identifier: Apache-2.0
// A library that needs the newer symbol version of libcharlie_versioned.so.1.
extern "C" int charlie_second();
extern "C" int charlie_user() { return charlie_second(); }
