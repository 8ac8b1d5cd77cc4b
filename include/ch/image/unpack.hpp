// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. The whole of ch-tar2dir as a function: an archive becomes an image directory,
// complete or not at all.
// Source: docs/unpack.md.
#pragma once

#include "ch/image/atomic_directory.hpp"
#include "ch/image/extract.hpp"

namespace ch::image {

/// Opens `archive`; "-" is standard input. A directory is opened too.
inline Descriptor open_archive(const std::string& archive) {
  if (archive == "-") return Descriptor(::fcntl(0, F_DUPFD_CLOEXEC, 3));
  Descriptor fd(::open(archive.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) throw_errno("open", archive);
  return fd;
}

/// Unpacks the open archive `input` in this process, to `destination`.
///
/// Effect: `destination` is the image; one that was there is gone. On failure nothing has
/// changed. Throws UnpackError. Starts threads; leaves none.
inline UnpackReport unpack(int input, AtomicDirectory& destination, const UnpackOptions& options,
                           InputWatch& watch) {
  watch.stop = options.stop;
  UnpackReport report =
      Extraction(input, destination.tree(), options, mode_rules_of_process(), watch).run();
  watch.check();
  destination.commit(report.stripped_directory, options.sync);
  return report;
}

}  // namespace ch::image
