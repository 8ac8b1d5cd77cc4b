// SPDX-License-Identifier: Apache-2.0
//
// Includes every header twice in one program: what is not inline, or differs between the two
// translation units, does not link.
#include "all_headers.hpp"

ch::HostFacts facts_of_the_other_file();

int main() {
  ch::kernel::Linux k;
  return ch::probe(k).kernel == facts_of_the_other_file().kernel ? 0 : 1;
}
