// SPDX-License-Identifier: Apache-2.0
// A library of the host: libcharlie_answer.so.1.
extern "C" int charlie_answer() { return 42; }
