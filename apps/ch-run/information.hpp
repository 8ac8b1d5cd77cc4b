// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. What ch-run says about itself: --help, --usage, --version, --feature.
#pragma once

#include "apps/ch-run/exit_status.hpp"
#include "apps/ch-run/messages.hpp"
#include "apps/ch-run/option_table.hpp"
#include "apps/ch-run/printed.hpp"
#include "ch/cli/help.hpp"
#include "ch/cli/usage.hpp"
#include "ch/version.hpp"

namespace ch_run {

inline constexpr const char* operands = "IMAGE -- COMMAND [ARG...]";

[[gnu::noinline]] inline int print_help() noexcept {
  ch::cli::Output out(ch::cli::standard_output);
  out("Usage: ch-run [OPTION...] IMAGE -- COMMAND [ARG...]\n\n"
      "Run COMMAND in a container whose root is the directory IMAGE. The container has\n"
      "its own user and mount namespaces; devices, network, processes, /tmp and your\n"
      "home directory are the host's. No privilege is needed, and none is gained.\n"
      "Without COMMAND, run the command that the image records, else a shell if this is\n"
      "a terminal.\n");
  ch::cli::print_options(table, out);
  out("\nExamples:\n"
      "  ch-run /data/hello -- echo hello\n"
      "  ch-run -b /data/in:/mnt/in:ro -b /scratch /data/hello -- ./solve /mnt/in\n"
      "  ch-run --set-env=OMP_NUM_THREADS=4 --unset-env='PMI*' /data/hello -- ./solve\n"
      "  ch-run -W -u0 -g0 --seccomp /data/debian -- apt-get install -y cowsay\n"
      "  mpirun -np 4 ch-run --join /data/hello -- ./solve      # one container for all\n"
      "  ch-run --explain=shell /data/hello -- true > box.sh   # the same, to study\n"
      "\nThe exit status is that of the command; 31 if the container could not be made,\n"
      "49 if the command could not be started, 64 for a wrong command line. More: man\n"
      "ch-run.\n");
  return printed(out);
}

[[gnu::noinline]] inline int print_usage() noexcept {
  ch::cli::Output out(ch::cli::standard_output);
  ch::cli::print_usage("ch-run", table, operands, out);
  return printed(out);
}

[[gnu::noinline]] inline int print_version() noexcept {
  ch::cli::Output out(ch::cli::standard_output);
  out("ch-run ");
  out(ch::version);
  out("\n");
  return printed(out);
}

/// --feature NAME: 0 if we have it, 1 if not, 64 if there is no such feature.
inline int feature(std::string_view name, const Messages& messages) noexcept {
  for (const char* ours : {"extglob", "overlayfs", "seccomp", "tmpfs-xattrs"})
    if (name == ours) return 0;
  if (name == "squash") return 1;
  messages.error("unknown feature");
  messages.remedy("ask for extglob, overlayfs, seccomp, squash or tmpfs-xattrs");
  return exit_usage;
}

}  // namespace ch_run
