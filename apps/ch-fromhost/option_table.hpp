// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The options of ch-fromhost, each described once: its parser, its help, its manual
// page and its completions are made from this table.
#pragma once

#include "apps/ch-fromhost/options.hpp"

namespace ch_fromhost {

inline constexpr const char* sources = "What to inject (repeatable)";
inline constexpr const char* places = "Where to";
inline constexpr const char* how = "How";
inline constexpr const char* other_tasks = "Instead of injecting";
inline constexpr const char* information = "Information";

namespace detail {
using namespace ch::cli;

inline constexpr Described<Options> rows[] = {
    {{'c', "cmd", "CMD",
      "the files that CMD lists on its standard output; CMD is split at blanks, without a shell",
      sources},
     take_command},
    {{'f', "file", "FILE", "the files listed in FILE, one per line", sources},
     take_file,
     {Completes::file}},
    {{'p', "path", "PATH", "the file at PATH", sources}, take_path, {Completes::file}},
    {{'\0', "nvidia", "",
      "the programs and libraries of the NVIDIA driver (by nvidia-container-cli list)", sources},
     take_known<ch::FileSource::nvidia>},
    {{'\0', "cdi", "[KIND[=NAME]]",
      "programs, libraries and other files of a device, such as nvidia.com/gpu, as the host's CDI "
      "files describe it (default: of all devices)",
      sources},
     take_cdi},
    {{'\0', "cdi-dirs", "DIR[:DIR...]",
      "where CDI files are (default: /etc/cdi:/var/run/cdi); later ones take precedence", sources},
     text<&Options::cdi_directories>,
     {Completes::directory}},
    {{'\0', "cray-mpi-cxi", "",
      "Cray's libfabric for Slingshot: the file that CH_FROMHOST_OFI_CXI names", sources},
     take_known<ch::FileSource::cray_cxi>},
    {{'\0', "cray-cxi", ""}},
    {{'\0', "cray-mpi-gni", "",
      "Cray's libfabric provider for Gemini and Aries: the file that CH_FROMHOST_OFI_GNI names",
      sources},
     take_known<ch::FileSource::cray_gni>},
    {{'\0', "cray-gni", ""}},

    {{'d', "dest", "DIR",
      "put the files of the options that follow into this directory of the image, whatever they "
      "are",
      places},
     take_destination,
     {Completes::image_directory}},

    {{'\0', "with-libs", "",
      "copy the libraries of this host that injected files need and the image lacks, or has too "
      "old (default: for programs, not for libraries)",
      how},
     sets<&Options::with_libraries, ch::WithLibraries::of_all>},
    {{'\0', "without-libs", "", "copy only the files that are named", how},
     sets<&Options::with_libraries, ch::WithLibraries::none>},
    {{'\0', "no-ldconfig", "", "don't run the image's ldconfig, even if libraries were injected",
      how},
     sets<&Options::ldconfig, false>},
    {{'\0', "dry-run", "", "print what would be put where and why, but change nothing", how},
     sets<&Options::dry_run, true>},
    {{'v', "verbose", "", "print what is put where, and why", how}, sets<&Options::verbose, true>},

    {{'\0', "list", "", "print what has been injected into the image", other_tasks},
     take_task<Task::list>},
    {{'\0', "remove", "", "take out everything that was injected; what it replaced comes back",
      other_tasks},
     take_task<Task::remove>},
    {{'\0', "lib-path", "", "print the directory of the image that shared libraries go to",
      other_tasks},
     take_task<Task::print_libraries>},
    {{'\0', "print-lib", ""}},
    {{'\0', "fi-path", "",
      "print the directory of the image that libfabric is in; providers go to libfabric/ there",
      other_tasks},
     take_task<Task::print_fabric>},
    {{'\0', "print-fi", ""}},
    {{'\0', "print-cray-fi", ""}},

    {{'h', "help", "", "print this help and exit", information}, take_task<Task::help>},
    {{'?', "", ""}},
    {{'\0', "usage", "", "print a short usage message and exit", information},
     take_task<Task::usage>},
    {{'V', "version", "", "print the version and exit", information}, take_task<Task::version>},
};
}  // namespace detail

inline constexpr auto table = ch::cli::options_of(detail::rows);
inline constexpr auto handlers = ch::cli::handlers_of(detail::rows);

}  // namespace ch_fromhost
