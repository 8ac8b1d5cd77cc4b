// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. The whole of ch-tar2dir as a function: an archive becomes an image directory,
// complete or not at all.
// Source: docs/unpack.md.
#pragma once

#include "ch/image/atomic_directory.hpp"
#include "ch/image/extract.hpp"

namespace ch::images {

/// Unpacks `input` in this process, to `destination`.
///
/// Effect: `destination` is the image; one that was there is gone. On failure nothing has
/// changed. Throws UnpackError. Starts threads; leaves none.
inline UnpackReport unpack(const Input& input, AtomicDirectory& destination,
                           const UnpackOptions& options, InputWatch& watch) {
  watch.stop = options.stop;
  UnpackReport report =
      Extraction(input, destination.tree(), options, mode_rules_of_process(), watch).run();
  watch.check();
  destination.commit(report.stripped_directory, options.sync);
  report.left_behind = destination.left_behind();
  return report;
}

}  // namespace ch::images
