// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Extracts an opened archive and commits it to its destination: an archive becomes an
// image directory, complete or not at all.
// Source: docs/unpack.md.
#pragma once

#include "ch/image/atomic_directory.hpp"
#include "ch/image/contained.hpp"

namespace ch::images {

/// Unpacks `input` to `destination`: in a container that holds nothing but the new image, or in
/// this process, as options.containment says. `on_wait(watch)` is called ten times a second
/// while the container works, for a progress display.
///
/// Effect: `destination` is the image; one that was there is gone. On failure nothing has changed.
/// Throws io::Failed: refused if a container is required but can't be made, because the host does
/// not allow it or because this process has other threads and so can't fork. If a container is only
/// preferred, a note in the report says that there was none. Starts threads or a child process, and
/// leaves none running. If another run made the same image while `destination` waited for it,
/// returns that run's report. A replaced image that processes still use is kept under another name,
/// which the report has.
template <class OnWait>
UnpackReport unpack(Input& input, AtomicDirectory& destination, const UnpackOptions& options,
                    OnWait&& on_wait) {
  if (destination.made_by_another()) return *destination.made_by_another();
  detail::Extracted made;
  if (options.containment != Containment::none) {
    made = detail::extract_contained(input, destination.tree(), options, on_wait);
    if (!made.report && options.containment == Containment::required)
      throw io::Failed(
          io::Reason::refused, {}, "can't extract in a container: " + made.unavailable,
          detail::has_one_thread()
              ? "find out what prevents containers on this host, or go on without one"
              : "unpack before other threads are started, or in a copy of this process "
                "(ch::call), or go on without a container")
          .with_kind(Remedy::leave_out_container);
  }
  if (!made.report) {
    InputWatch watch;
    watch.stop = options.stop;
    made.report =
        Extraction(input, destination.tree(), options, mode_rules_of_process(), watch).run();
    watch.check();
    if (!made.unavailable.empty())
      made.report->notes.push_back("extracted without a container: " + made.unavailable);
  }
  destination.commit(*made.report, options.sync);
  return *std::move(made.report);
}

/// The same without a display.
inline UnpackReport unpack(Input& input, AtomicDirectory& destination,
                           const UnpackOptions& options) {
  return unpack(input, destination, options, [](const InputWatch&) {});
}

}  // namespace ch::images
