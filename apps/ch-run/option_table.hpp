// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The options of ch-run, each described once: its parser, its help, its manual page
// and its completions are made from this table.
#pragma once

#include "apps/ch-run/options.hpp"

namespace ch_run {

inline constexpr const char* files = "Files and directories";
inline constexpr const char* variables = "Environment";
inline constexpr const char* identity = "Identity";
inline constexpr const char* isolation = "Isolation";
inline constexpr const char* joining = "Sharing a container";
inline constexpr const char* information = "Information";

namespace detail {
using namespace ch::cli;

inline constexpr Described<Options> rows[] = {
    {{'b', "bind", "SRC[:DST[:ro]]",
      "show the host's SRC at DST in the container (default: /mnt/0 for the first bind, /mnt/1 "
      "for the second, ...); \"ro\" makes it read-only; write a colon as \\:",
      files},
     take_bind,
     {Completes::bind}},
    {{'d', "dir", "DIR"}},  // an older name of --bind
    {{'c', "cd", "DIR", "start in this directory of the container (default: the image's, else /)",
      files},
     take_directory,
     {Completes::image_directory}},
    {{'\0', "cdi-dirs", "DIR[:DIR...]",
      "where the descriptions of devices are (default: /etc/cdi:/var/run/cdi); later ones take "
      "precedence",
      files},
     text<&Options::cdi_dirs>,
     {Completes::directory}},
    {{'\0', "ch-ssh", "", "show the ch-ssh that is installed beside ch-run as /usr/bin/ch-ssh",
      files},
     sets<&Options::ch_ssh, true>},
    {{'\0', "copy", "SRC:DST",
      "show a copy of the host's file SRC, as it is now, at DST in the container, read-only",
      files},
     take_copy,
     {Completes::bind}},
    {{'\0', "device", "KIND=NAME",
      "give the container a device and all that it needs, such as nvidia.com/gpu=0, or "
      "nvidia.com/gpu=all, as described by the host's CDI files",
      files},
     take_device},
    {{'\0', "device-file", "FILE",
      "take devices as ch-device has written them to FILE, instead of --device", files},
     text<&Options::device_file>,
     {Completes::file}},
    {{'\0', "home", "", "mount your home directory at /home/USER (the default)", files},
     sets<&Options::home, true>},
    {{'\0', "no-device", "", "no devices, not even those of a configuration file", files},
     sets<&Options::device, false>},
    {{'\0', "no-home", "", "don't mount it", files}, sets<&Options::home, false>},
    {{'\0', "no-passwd", "",
      "keep the image's /etc/passwd and /etc/group (default: generated ones with you in them)",
      files},
     sets<&Options::passwd, false>},
    {{'\0', "overlay", "DIR",
      "writable image whose changes go to DIR on the host and can be used again", files},
     take_overlay,
     {Completes::directory}},
    {{'t', "private-tmp", "", "an empty /tmp of its own (default: the host's)", files},
     sets<&Options::tmp, ch::TmpKind::private_tmpfs>},
    {{'\0', "symlink", "TARGET:PATH",
      "a symbolic link PATH to TARGET in the container; the image does not change", files},
     take_symlink},
    {{'w', "write", "", "let the container change the image itself (default: read-only)", files},
     sets<&Options::image_access, ch::Access::read_write>},
    {{'W', "write-fake", "[SIZE]",
      "writable image whose changes are in memory, at most SIZE (default: 12%), and gone at the "
      "end",
      files},
     take_write_fake},

    {{'\0', "env-no-expand", "", "don't expand $NAME in the values that --set-env sets", variables},
     sets<&Options::expand, false>},
    {{'\0', "no-image-env", "",
      "don't set the variables that the image asks for in its /ch/environment", variables},
     sets<&Options::image_environment, false>},
    {{'\0', "set-env", "[FILE|NAME=VALUE]",
      "set one variable, or all that a file of the host lists, one per line; with no argument, "
      "those of the image's /ch/environment, expanded",
      variables},
     take_environment<EnvironmentOption::Separator::newline>,
     {Completes::file}},
    {{'\0', "set-env0", "[FILE|NAME=VALUE]",
      "the same for a file whose entries end in a NUL, as env -0 writes them", variables},
     take_environment<EnvironmentOption::Separator::nul>,
     {Completes::file}},
    {{'\0', "unset-env", "GLOB",
      "unset the variables whose names match, e.g. 'SLURM_*' or '!(HOME|PATH)'", variables},
     take_unset_env},

    {{'g', "gid", "GID", "be this group inside (default: your own)", identity},
     take_id<&Options::gid>},
    {{'u', "uid", "UID", "be this user inside (default: yourself); 0 is root, inside only",
      identity},
     take_id<&Options::uid>},

    {{'\0', "hostname", "NAME", "the host name inside; implies --namespaces=uts", isolation},
     take_hostname},
    {{'\0', "keep-fd", "N",
      "leave descriptor N open for the command; those that the environment names for MPI "
      "(PMI_FD) or make stay open anyway",
      isolation},
     take_keep_fd},
    {{'\0', "namespaces", "LIST",
      "namespaces besides user and mount: any of pid, ipc, uts, net, cgroup, time, "
      "comma-separated; "
      "pid includes an init that reaps and forwards signals",
      isolation},
     take_namespaces,
     {Completes::list, "pid ipc uts net cgroup time"}},
    {{'\0', "seccomp", "",
      "let chown, setuid, mknod and the like appear to succeed, for package managers", isolation},
     sets<&Options::seccomp, true>},

    {{'j', "join", "",
      "share one container with the other ch-runs of the same job on this machine, so that they "
      "can attach to each other's memory",
      joining},
     in<&Options::join, sets<&JoinOptions::wanted, true>>},
    {{'\0', "join-ct", "N",
      "how many share it (implies --join; default: from the launcher's variables); 0: join the "
      "tag's container if it exists, else make it",
      joining},
     in<&Options::join, take_join_count>},
    {{'\0', "join-pid", "PID",
      "enter the container of this process, which IMAGE then only describes", joining},
     in<&Options::join, take_join_pid>},
    {{'\0', "join-tag", "TAG",
      "what distinguishes this group from others (implies --join; default: the launcher's name for "
      "the job and step, else the parent's process id)",
      joining},
     in<&Options::join, take_join_tag>},
    {{'\0', "join-timeout", "SECONDS", "how long to wait for the others (default: 30)", joining},
     in<&Options::join, take_join_timeout>},

    {{'\0', "check", "",
      "can this host run containers? Print what it can do and what is in the way; exit status 0 "
      "if it can",
      information},
     sets<&Options::check, true>},
    {{'\0', "color", "[WHEN]",
      "colour messages: auto (on a terminal, the default), always or never", information},
     take_color,
     {Completes::words, "auto always never"}},
    {{'\0', "explain", "[FORM]",
      "print the steps instead of doing them: as text, json, or a shell script that does the "
      "same with unshare(1) and mount(8)",
      information},
     take_explain,
     {Completes::words, explain_words}},
    {{'\0', "feature", "NAME",
      "exit with 0 if this ch-run has the feature, 1 if not: extglob, overlayfs, seccomp, squash, "
      "tmpfs-xattrs",
      information},
     text<&Options::feature>,
     {Completes::words, "extglob overlayfs seccomp squash tmpfs-xattrs"}},
    {{'\0', "no-conf", "",
      "read neither /etc/charlie/ch-run.conf nor the file that $CH_RUN_CONF names", information},
     sets<&Options::configuration, false>},
    {{'q', "quiet", "",
      "no warnings; twice: no standard output of the command either; thrice: no error output",
      information},
     counts<&Options::quietness>},
    {{'\0', "time-steps", "", "print how many microseconds each step took", information},
     sets<&Options::time_steps, true>},
    {{'v', "verbose", "",
      "print the steps before doing them; twice: every system call, too; thrice: and the "
      "command's environment",
      information},
     counts<&Options::verbosity>},
    {{'\0', "assembly", "WAY",
      "how to put the mounts together: detached (Linux 6.15), attached (5.12) or classic "
      "(older); default: the first that this kernel has",
      information},
     take_assembly,
     {Completes::words, assembly_words}},
    {{'?', "help", "", "print this help and exit", information}, sets<&Options::help, true>},
    {{'h', "", ""}},
    {{'\0', "usage", "", "print a short usage message and exit", information},
     sets<&Options::usage, true>},
    {{'V', "version", "", "print the version and exit", information},
     sets<&Options::version, true>},
};
}  // namespace detail

inline constexpr auto table = ch::cli::options_of(detail::rows);
inline constexpr auto handlers = ch::cli::handlers_of(detail::rows);

/// Options about how to make the container, which don't apply to an existing one.
inline constexpr ch::cli::RowSet makes_container(table, {"bind", "ch-ssh", "copy", "device", "gid",
                                                         "hostname", "namespaces", "no-passwd",
                                                         "overlay", "private-tmp", "symlink", "uid",
                                                         "write", "write-fake"});

/// Options after which the rest of the command line is ignored.
inline constexpr ch::cli::RowSet stops_parsing(table,
                                               {"check", "feature", "help", "usage", "version"});

}  // namespace ch_run
