// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The same programs with a libc, for sanitizers, fuzzers and architectures that
// start.cpp does not know.

int ch_main(int argc, char** argv, char** envp);

/// Passes the environment that the kernel gave, as start.cpp does; a libc may have moved its own.
int main(int argc, char** argv) { return ch_main(argc, argv, argv + argc + 1); }
