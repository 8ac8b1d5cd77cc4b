// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. What a caller may choose about unpacking, and what it is told afterwards.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace ch::images {

/// Set-uid and set-gid bits: useless in a container of one user, a risk outside.
enum class SpecialBits { drop, keep };
/// Extended attributes of the user namespace ("user.*").
enum class Xattrs { drop, keep };
/// Who owns the files: the caller, or the owners that the archive names, as far as the process may
/// change owners (hosted/subordinate_ids.hpp).
enum class Owners { mine, of_archive };
/// Wait until the image is on the disk before it gets its name? Otherwise a power failure within
/// the next half minute can leave an incomplete image under the final name.
enum class Sync { before_naming, none };
/// May a directory that does not look like an image be replaced?
enum class Replace { images_only, anything };
/// Run the extraction in a container that holds only the destination?
enum class Containment { if_possible, required, none };

inline constexpr std::uint64_t from_free_space = std::numeric_limits<std::uint64_t>::max();

/// Which machine's image to take from an index; names as Go has them (amd64, arm64).
struct Platform {
  std::string os = "linux";
  std::string architecture{};  // empty: this machine's
  std::string variant{};       // empty: any
};

/// Is there an image at the destination already?
enum class Makes { new_image, replacement };

/// Callbacks for the caller; empty ones are skipped. If owners are kept, they are called in a copy
/// of the calling process: they can print, but their changes to memory are lost.
struct UnpackEvents {
  std::function<void()> on_wait{};  // before waiting for another run that makes the same image
  std::function<void(Makes)> on_begin{};
  /// Ten times a second while a container works: bytes read, of how many (0: unknown).
  std::function<void(std::uint64_t, std::uint64_t)> on_progress{};
  std::function<void()> on_end{};  // after on_begin, with or without success; what it throws is
                                   // ignored, while an exception of the others ends the call
};

struct UnpackOptions {
  std::string image_name{};  // of the images in one archive; empty: the only one
  Platform platform{};
  SpecialBits special_bits = SpecialBits::drop;
  Xattrs xattrs = Xattrs::drop;
  Owners owners = Owners::mine;
  Sync sync = Sync::before_naming;
  Replace replace = Replace::images_only;
  Containment containment = Containment::if_possible;
  std::uint64_t max_size = from_free_space;   // bytes of file content
  std::uint64_t max_files = from_free_space;  // members of every kind
  unsigned writers = 0;                       // threads that write files; 0: chosen automatically
  const std::atomic<bool>* stop = nullptr;    // set by a signal handler
  UnpackEvents events{};
};

/// A process in a container that uses an image.
struct ImageUser {
  pid_t pid = 0;
  std::string command;
};

/// What was read and made. Counts are of archive members over all layers.
struct UnpackReport {
  std::string format;       // "tar", "docker archive", "OCI layout"
  std::string compression;  // of the outer archive
  std::string image_name;
  std::uint64_t input_bytes = 0;
  std::uint64_t layers = 0;
  std::uint64_t directories = 0, files = 0, links = 0, hard_links = 0, fifos = 0;
  std::uint64_t content_bytes = 0;
  std::uint64_t devices_skipped = 0, absolute_names = 0, whiteouts = 0;
  std::string stripped_directory;  // the directory that enclosed everything, if any
  std::vector<std::string> notes;  // one sentence each, for people
  std::string left_behind;         // what could not be removed; the next run removes it
  std::string kept;                // where the replaced image is now, since it is in use
  std::vector<ImageUser> users;    // by these processes
  bool made_by_another = false;    // by another run, while we waited for it
};

}  // namespace ch::images
