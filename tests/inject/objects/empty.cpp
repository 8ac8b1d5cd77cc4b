// SPDX-License-Identifier: Apache-2.0
// Code for libraries of which only the names matter.
extern "C" int charlie_nothing() { return 0; }
