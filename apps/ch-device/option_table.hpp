// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The options of ch-device, each described once: its parser, its help, its manual
// page and its completions are made from this table.
#pragma once

#include "apps/ch-device/options.hpp"

namespace ch_device {

inline constexpr const char* what = "What to look up";
inline constexpr const char* information = "Information";

namespace detail {
using namespace ch::cli;

inline constexpr Described<Options> rows[] = {
    {{'\0', "cdi-dirs", "DIR[:DIR...]",
      "where the descriptions of devices are (default: /etc/cdi:/var/run/cdi); later ones take "
      "precedence",
      what},
     take_directories,
     {Completes::directory}},
    {{'\0', "device", "KIND=NAME",
      "a device, such as nvidia.com/gpu=0 or nvidia.com/gpu=all; can be given several times", what},
     take_device},
    {{'\0', "image", "IMAGE",
      "the image that is to get it, whose ldconfig is run for the libraries", what},
     text<&Options::image>,
     {Completes::directory}},
    {{'\0', "ld-cache", "FILE",
      "write the loader's cache to FILE, for ch-run to show in the container", what},
     text<&Options::cache_file>,
     {Completes::file}},
    {{'\0', "run", "PROGRAM",
      "execute PROGRAM, a ch-run, with the words after -- and what was found; used when ch-run "
      "calls this program",
      what},
     text<&Options::run>,
     {Completes::file}},
    {{'l', "list", "", "print which devices there are, and what describes them", information},
     sets<&Options::task, Options::Task::list>},
    {{'q', "quiet", "", "no warnings", information}, sets<&Options::quiet, true>},
    {{'?', "help", "", "print this help and exit", information},
     sets<&Options::task, Options::Task::help>},
    {{'h', "", ""}},
    {{'\0', "usage", "", "print a short usage message and exit", information},
     sets<&Options::task, Options::Task::usage>},
    {{'V', "version", "", "print the version and exit", information},
     sets<&Options::task, Options::Task::version>},
};
}  // namespace detail

inline constexpr auto table = ch::cli::options_of(detail::rows);
inline constexpr auto handlers = ch::cli::handlers_of(detail::rows);

}  // namespace ch_device
