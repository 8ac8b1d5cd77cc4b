// SPDX-License-Identifier: Apache-2.0
// A program of the host that needs a library of the host.
#include <stdio.h>
extern "C" int charlie_answer();
int main() { return printf("the answer is %d\n", charlie_answer()) > 0 ? 0 : 1; }
