// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. What a cause and a remedy are; and those of limits, which any call can reach.
// Source: the ERRORS sections of man 2 clone, execve, open; man 2 getrlimit; man 7 cgroups.
#pragma once

#include "ch/types/result.hpp"

namespace ch {

/// Remedies that change an option of the container. The front end that offers the option may word
/// them itself: a tool names its option.
enum class Remedy : std::uint8_t {
  as_worded,             // no option, or the library's wording will do
  unpack_first,          // what was named is an archive, or nothing yet
  keep_image_read_only,  // so that a layer can hide what is in it
  write_to_image,        // do without a layer
  make_mount_points,
  share_layer,
  enlarge_scratch,
  drop_filter,
  await_peers,
  count_peers,
  change_uid,
  change_tag,
  // Ids.
  do_without_ids,
  // Unpacking.
  allow_more_files,
  allow_more_bytes,
  keep_owners,  // when replacing an image that has files of several owners
  choose_image,
  choose_platform,
  leave_out_choice,  // of an image or platform, where there is none
  leave_out_container,
  replace_anything,
  // Injecting.
  choose_place,
  leave_out_ldconfig,
  take_out,
  choose_device,
  name_descriptions,
};

/// Cause and remedy, in the library's words; empty if we know no more than the errno says.
struct Explanation {
  TextAddress cause{};
  TextAddress remedy{};
  Remedy kind = Remedy::as_worded;
};

/// The library's wording of a remedy that changes an option; null if the explanation has one.
[[nodiscard]] constexpr const char* words_of(Remedy remedy) noexcept {
  switch (remedy) {
    case Remedy::unpack_first:
      return "check the path; an archive must be unpacked first";
    case Remedy::keep_image_read_only:
      return "leave the image read-only, or remove it from the image";
    case Remedy::write_to_image:
      return "make the image writable, unmount them, or unpack the image elsewhere; missing mount "
             "points can be made in the image";
    case Remedy::make_mount_points:
      return "make the missing mount points in the image, or put the overlay's directory on a "
             "local disk";
    case Remedy::share_layer:
      return "wait for its end, share that container, or choose another directory";
    case Remedy::enlarge_scratch:
      return "allow the layer in memory more space, or write less to it";
    case Remedy::drop_filter:
      return "leave out the filter; compare the kernel's configuration (CONFIG_SECCOMP_FILTER)";
    case Remedy::await_peers:
      return "start as many peers as the group has, all with the same tag, or wait longer";
    case Remedy::count_peers:
      return "give all peers the same number of peers on this machine";
    case Remedy::change_uid:
      return "use another uid inside";
    case Remedy::change_tag:
      return "choose another tag, one that nobody can guess, and tell the administrator";
    default:
      return nullptr;
  }
}

namespace detail {

inline constexpr Explanation lacks_call = {
    "this kernel, or a seccomp filter of an outer container, lacks the system call",
    "Linux 5.12 or newer has all calls; allow them in the outer container's profile"};

/// Of a limit that `call` has reached; empty if `code` is not about any. Descriptors and processes
/// are also limited for the whole host: ENFILE, or kernel.pid_max.
[[nodiscard]] constexpr Explanation explain_limit(Errno code, kernel::Call call) noexcept {
  using kernel::Call;
  if (code == Errno::emfile || code == Errno::enfile)
    return {"the limit on open files is reached",
            "allow more open files (ulimit -n), or close those that are inherited"};
  if (code == Errno::eagain &&
      (call == Call::clone || call == Call::clone3 || call == Call::execve))
    return {"the limit on processes is reached, that of the user, of a cgroup, or of the host",
            "allow more (ulimit -u, or pids.max of the cgroup), or wait until some have ended"};
  if (code == Errno::enomem && (call == Call::clone || call == Call::clone3))
    return {"out of memory, or the pid namespace of this process has lost its init",
            "raise the limit on memory (ulimit -v), or leave that namespace"};
  if (code == Errno::enomem)
    return {"out of memory",
            "raise the limit on memory (ulimit -v, or that of the batch job), or use a machine "
            "with more"};
  return {};
}

}  // namespace detail
}  // namespace ch
