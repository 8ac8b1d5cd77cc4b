// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The options of ch-device, in the one table that its parser and its help are
// made from.
#pragma once

#include "ch/cli/option.hpp"

namespace ch_device {

enum Id : int {
  opt_cdi_dirs,
  opt_device,
  opt_help,
  opt_image,
  opt_ld_cache,
  opt_list,
  opt_quiet,
  opt_run,
  opt_usage,
  opt_version,
};

inline constexpr const char* what = "What to look up";
inline constexpr const char* information = "Information";

using enum ch::cli::Argument;

inline constexpr ch::cli::Option table[] = {
    {opt_cdi_dirs, '\0', "cdi-dirs", required, "DIR[:DIR...]",
     "where the descriptions of devices are (default: /etc/cdi:/var/run/cdi); the last has the "
     "last word",
     what},
    {opt_device, '\0', "device", required, "KIND=NAME",
     "a device, such as nvidia.com/gpu=0 or nvidia.com/gpu=all; can be given several times", what},
    {opt_image, '\0', "image", required, "IMAGE",
     "the image that is to have it, whose ldconfig is asked about libraries", what},
    {opt_ld_cache, '\0', "ld-cache", required, "FILE",
     "write the loader's cache to FILE, for ch-run to show in the container", what},
    {opt_run, '\0', "run", required, "PROGRAM",
     "become PROGRAM, a ch-run, with the words after -- and what was found; how ch-run calls "
     "this program",
     what},
    {opt_list, 'l', "list", none, "", "print which devices there are, and what describes them",
     information},
    {opt_quiet, 'q', "quiet", none, "", "no warnings", information},
    {opt_help, '?', "help", none, "", "print this help and exit", information},
    {opt_help, 'h', "", none, "", "", information},
    {opt_usage, '\0', "usage", none, "", "print a short usage message and exit", information},
    {opt_version, 'V', "version", none, "", "print the version and exit", information},
};

}  // namespace ch_device
