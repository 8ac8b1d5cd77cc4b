// SPDX-License-Identifier: Apache-2.0
//
// The other half of one_definition_a.cpp.
#include "all_headers.hpp"

ch::HostFacts facts_of_the_other_file();
ch::HostFacts facts_of_the_other_file() {
  ch::kernel::Linux k;
  return ch::probe(k);
}
