// SPDX-License-Identifier: Apache-2.0
//
// What a driver's library is to the tests: a file with a soname and a function.

#ifndef VERSION
#define VERSION 550
#endif

extern "C" int made_driver_version() { return VERSION; }
