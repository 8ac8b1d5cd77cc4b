// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The options of ch-fromhost, in the one table that its parser, its help, its
// manual page and its completions are made from.
#pragma once

#include "ch/cli/option.hpp"

namespace ch_fromhost {

enum Id : int {
  opt_cdi,
  opt_cdi_dirs,
  opt_cmd,
  opt_cray_cxi,
  opt_cray_gni,
  opt_dest,
  opt_dry_run,
  opt_fi_path,
  opt_file,
  opt_help,
  opt_lib_path,
  opt_list,
  opt_no_ldconfig,
  opt_nvidia,
  opt_path,
  opt_remove,
  opt_usage,
  opt_verbose,
  opt_version,
};

inline constexpr const char* sources = "What to inject (repeatable)";
inline constexpr const char* places = "Where to";
inline constexpr const char* how = "How";
inline constexpr const char* other_tasks = "Instead of injecting";
inline constexpr const char* information = "Information";

using enum ch::cli::Argument;

inline constexpr ch::cli::Option table[] = {
    {opt_cmd, 'c', "cmd", required, "CMD",
     "the files that CMD lists on its standard output; CMD is split at blanks, there is no shell",
     sources},
    {opt_file, 'f', "file", required, "FILE", "the files listed in FILE, one per line", sources},
    {opt_path, 'p', "path", required, "PATH", "the file at PATH", sources},
    {opt_nvidia, '\0', "nvidia", none, "",
     "the programs and libraries of the NVIDIA driver (by nvidia-container-cli list)", sources},
    {opt_cdi, '\0', "cdi", optional, "KIND[=NAME]",
     "programs, libraries and other files of a device, such as nvidia.com/gpu, as the host's CDI "
     "files describe it (default: of all devices)",
     sources},
    {opt_cdi_dirs, '\0', "cdi-dirs", required, "DIR[:DIR...]",
     "where CDI files are (default: /etc/cdi:/var/run/cdi); the last has the last word", sources},
    {opt_cray_cxi, '\0', "cray-mpi-cxi", none, "",
     "Cray's libfabric for Slingshot: the file that CH_FROMHOST_OFI_CXI names", sources},
    {opt_cray_cxi, '\0', "cray-cxi", none, "", "", sources},
    {opt_cray_gni, '\0', "cray-mpi-gni", none, "",
     "Cray's libfabric provider for Gemini and Aries: the file that CH_FROMHOST_OFI_GNI names",
     sources},
    {opt_cray_gni, '\0', "cray-gni", none, "", "", sources},

    {opt_dest, 'd', "dest", required, "DIR",
     "put the files of the options that follow into this directory of the image, whatever they "
     "are",
     places},

    {opt_no_ldconfig, '\0', "no-ldconfig", none, "",
     "don't run the image's ldconfig, even if libraries were injected", how},
    {opt_dry_run, '\0', "dry-run", none, "",
     "print what would be put where and why, and change nothing", how},
    {opt_verbose, 'v', "verbose", none, "", "print what is put where, and why", how},

    {opt_list, '\0', "list", none, "", "print what has been injected into the image", other_tasks},
    {opt_remove, '\0', "remove", none, "",
     "take out all that has been injected; what it replaced comes back", other_tasks},
    {opt_lib_path, '\0', "lib-path", none, "",
     "print the directory of the image that shared libraries go to", other_tasks},
    {opt_lib_path, '\0', "print-lib", none, "", "", other_tasks},
    {opt_fi_path, '\0', "fi-path", none, "",
     "print the directory of the image that libfabric is in; providers go to libfabric/ there",
     other_tasks},
    {opt_fi_path, '\0', "print-fi", none, "", "", other_tasks},
    {opt_fi_path, '\0', "print-cray-fi", none, "", "", other_tasks},

    {opt_help, 'h', "help", none, "", "print this help and exit", information},
    {opt_help, '?', "", none, "", "", information},
    {opt_usage, '\0', "usage", none, "", "print a short usage message and exit", information},
    {opt_version, 'V', "version", none, "", "print the version and exit", information},
};

}  // namespace ch_fromhost
