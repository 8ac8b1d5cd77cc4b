// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The options of ch-tar2dir, in the one table that its parser and its help are
// made from.
#pragma once

#include "ch/cli/option.hpp"

namespace ch_tar2dir {

enum Id : int {
  opt_check,
  opt_contain,
  opt_force,
  opt_help,
  opt_image,
  opt_json,
  opt_list,
  opt_max_files,
  opt_max_size,
  opt_no_sync,
  opt_platform,
  opt_preserve,
  opt_quiet,
  opt_subids,
  opt_threads,
  opt_usage,
  opt_verbose,
  opt_version,
  opt_xattrs,
};

inline constexpr const char* input = "What to unpack";
inline constexpr const char* output = "How";
inline constexpr const char* safety = "Safety";
inline constexpr const char* information = "Information";

using enum ch::cli::Argument;

inline constexpr ch::cli::Option table[] = {
    {opt_image, 'i', "image", required, "NAME[:TAG]", "which image, if the archive has several",
     input},
    {opt_platform, '\0', "platform", required, "OS/ARCH[/VARIANT]",
     "which machine's, if the archive has the image for several (default: this one's)", input},

    {opt_force, 'f', "force", none, "", "replace DIR even if it does not appear to be an image",
     output},
    {opt_preserve, 'p', "preserve", none, "", "keep set-uid and set-gid bits", output},
    {opt_subids, '\0', "subids", none, "",
     "keep the owners of files, as ids of yours that /etc/subuid and /etc/subgid name", output},
    {opt_xattrs, '\0', "xattrs", none, "", "keep extended attributes of users (user.*)", output},
    {opt_threads, 'j', "threads", required, "N",
     "how many threads write files (default: as many as there are cores, at most 8)", output},
    {opt_no_sync, '\0', "no-sync", none, "",
     "don't wait until the image is on the disk before it gets its name; faster, but a power "
     "cut soon after can leave an incomplete image",
     output},

    {opt_max_size, '\0', "max-size", required, "BYTES",
     "refuse archives that unpack to more; K, M, G, T are understood (default: the free space)",
     safety},
    {opt_max_files, '\0', "max-files", required, "N",
     "refuse archives with more members (default: the free inodes)", safety},
    {opt_contain, '\0', "contain", required, "HOW",
     "read the archive in a container that holds only the new image: auto (where possible, the "
     "default), always, or never",
     safety},

    {opt_list, 't', "list", none, "", "print what is in the archive instead of unpacking it",
     information},
    {opt_check, '\0', "check", none, "",
     "read all of the archive and verify checksums and digests instead of unpacking it",
     information},
    {opt_json, '\0', "json", none, "", "print a summary as JSON instead of the usual messages",
     information},
    {opt_quiet, 'q', "quiet", none, "", "print errors only", information},
    {opt_verbose, 'v', "verbose", none, "", "print what was read and made", information},
    {opt_help, '?', "help", none, "", "print this help and exit", information},
    {opt_help, 'h', "", none, "", "", information},
    {opt_usage, '\0', "usage", none, "", "print a short usage message and exit", information},
    {opt_version, 'V', "version", none, "", "print the version and exit", information},
};

}  // namespace ch_tar2dir
