// SPDX-License-Identifier: Apache-2.0
//
// All fuzz targets by name.

#include "ch/io/failed.hpp"
#include "tests/fuzz/target.hpp"

namespace fuzz {

void run_target(std::string_view name, std::string_view input) {
  for (const auto targets : {image_targets(), inject_targets(), command_targets()}) {
    for (const Target& target : targets) {
      if (name != target.name) continue;
      try {
        target.run(input);
      } catch (const ch::io::Failed&) {
      }
      return;
    }
  }
  wrong("there is no target of this name");
}

}  // namespace fuzz
