// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The options of ch-tar2dir, each described once: its parser, its help, its manual
// page and its completions are made from this table.
#pragma once

#include "apps/ch-tar2dir/options.hpp"

namespace ch_tar2dir {

inline constexpr const char* input = "What to unpack";
inline constexpr const char* output = "How";
inline constexpr const char* safety = "Safety";
inline constexpr const char* information = "Information";

namespace detail {
using namespace ch::cli;
using namespace ch::images;

inline constexpr Described<Options> rows[] = {
    {{'i', "image", "NAME[:TAG]", "which image, if the archive has several", input},
     take_image_name},
    {{'\0', "platform", "OS/ARCH[/VARIANT]",
      "for which machine, if the archive has the image for several (default: this one)", input},
     take_platform,
     {Completes::words, "linux/amd64 linux/arm64 linux/ppc64le linux/riscv64"}},

    {{'f', "force", "", "replace DIR even if it does not appear to be an image", output},
     in<&Options::unpack, sets<&UnpackOptions::replace, Replace::anything>>},
    {{'p', "preserve", "", "keep set-uid and set-gid bits", output},
     in<&Options::unpack, sets<&UnpackOptions::special_bits, SpecialBits::keep>>},
    {{'\0', "subids", "", "keep the owners of files, as your ids from /etc/subuid and /etc/subgid",
      output},
     in<&Options::unpack, sets<&UnpackOptions::owners, Owners::of_archive>>},
    {{'\0', "xattrs", "", "keep extended attributes of users (user.*)", output},
     in<&Options::unpack, sets<&UnpackOptions::xattrs, Xattrs::keep>>},
    {{'j', "threads", "N",
      "how many threads write files (default: as many as there are cores, at most 8)", output},
     in<&Options::unpack, number<&UnpackOptions::writers, 1, 256>>},
    {{'\0', "no-sync", "",
      "don't wait until the image is on the disk before it gets its name; faster, but a power "
      "cut soon after can leave an incomplete image",
      output},
     in<&Options::unpack, sets<&UnpackOptions::sync, Sync::none>>},

    {{'\0', "max-size", "BYTES",
      "refuse archives that unpack to more; accepts K, M, G, T (default: the free space)", safety},
     take_size<&UnpackOptions::max_size>},
    {{'\0', "max-files", "N", "refuse archives with more members (default: the free inodes)",
      safety},
     take_size<&UnpackOptions::max_files>},
    {{'\0', "contain", "HOW",
      "read the archive in a container that holds only the new image: auto (where possible, the "
      "default), always, or never",
      safety},
     in<&Options::unpack, one_of<&UnpackOptions::containment, contain_words>>,
     {Completes::words, contain_words}},

    {{'t', "list", "", "print what is in the archive instead of unpacking it", information},
     take_list},
    {{'\0', "check", "",
      "read all of the archive and verify checksums and digests instead of unpacking it",
      information},
     take_check},
    {{'\0', "json", "", "print a summary as JSON instead of the usual messages", information},
     sets<&Options::messages, Messages::json>},
    {{'q', "quiet", "", "print errors only", information},
     sets<&Options::messages, Messages::errors_only>},
    {{'v', "verbose", "", "print what was read and made", information},
     sets<&Options::messages, Messages::detailed>},
    {{'?', "help", "", "print this help and exit", information}, sets<&Options::task, Task::help>},
    {{'h', "", ""}},
    {{'\0', "usage", "", "print a short usage message and exit", information},
     sets<&Options::task, Task::usage>},
    {{'V', "version", "", "print the version and exit", information},
     sets<&Options::task, Task::version>},
};
}  // namespace detail

inline constexpr auto table = ch::cli::options_of(detail::rows);
inline constexpr auto handlers = ch::cli::handlers_of(detail::rows);

}  // namespace ch_tar2dir
