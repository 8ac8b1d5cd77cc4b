// SPDX-License-Identifier: Apache-2.0
// A library in two versions: with NEW, a second function of a newer symbol version.
extern "C" int charlie_first() { return 1; }
#ifdef NEW
extern "C" int charlie_second() { return 2; }
#endif
