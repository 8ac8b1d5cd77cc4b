// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The same programs with a libc, for sanitizers, fuzzers and architectures that
// start.cpp does not know.

int ch_main(int argc, char** argv, char** envp);

/// The environment is the kernel's, as there; a libc may have moved its own.
int main(int argc, char** argv) { return ch_main(argc, argv, argv + argc + 1); }
