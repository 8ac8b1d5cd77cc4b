// SPDX-License-Identifier: Apache-2.0
//
// A dummy driver library for the tests: it has a soname and a function.

#ifndef VERSION
#define VERSION 550
#endif

extern "C" int made_driver_version() { return VERSION; }
