// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The remedies that change an option, in terms of ch-run's.
#pragma once

#include "ch/show/explanation.hpp"

namespace ch_run {

using ch::Remedy;

/// See ch::words_of.
inline const char* remedy_words(Remedy remedy) noexcept {
  switch (remedy) {
    case Remedy::as_worded:
    case Remedy::do_without_ids:  // no option of ch-run asks for them
      return nullptr;
    case Remedy::unpack_first:
      return "check the path; an archive must be unpacked first: ch-tar2dir ARCHIVE DIR";
    case Remedy::keep_image_read_only:
      return "leave out --write, or remove it from the image";
    case Remedy::write_to_image:
      return "use --write, unmount them, or unpack the image elsewhere; missing mount points can "
             "be made in the image";
    case Remedy::make_mount_points:
      return "make the missing mount points in the image (ch-run -w IMAGE -- mkdir ...), or put "
             "the overlay's directory on a local disk";
    case Remedy::share_layer:
      return "wait until it ends, share that container with --join, or choose another directory";
    case Remedy::enlarge_scratch:
      return "give --write-fake a larger size, or --copy less";
    case Remedy::drop_filter:
      return "leave out --seccomp; compare the kernel's configuration (CONFIG_SECCOMP_FILTER)";
    case Remedy::await_peers:
      return "start as many peers as --join-ct says, all with the same --join-tag; --join-timeout "
             "waits longer";
    case Remedy::count_peers:
      return "give all peers the same --join-ct, the number of them on this machine";
    case Remedy::change_uid:
      return "be another user inside: --uid";
    case Remedy::change_tag:
      return "choose another --join-tag, one that nobody can guess, and tell the administrator";
    default:  // for tools that make and change images
      return nullptr;
  }
}

}  // namespace ch_run
