// SPDX-License-Identifier: Apache-2.0
//
// The command of the launch benchmarks: it does nothing. It has no libc, whose start alone would
// cost more than a launch on a virtual machine.

int ch_main(int argc, char** argv, char** envp);
int ch_main(int, char**, char**) { return 0; }
