// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The options of ch-run, in the one table that its parser, its help, its manual
// page and its completions are made from.
#pragma once

#include "ch/cli/option.hpp"

namespace ch_run {

enum Id : int {
  opt_assembly,
  opt_bind,
  opt_cd,
  opt_cdi_dirs,
  opt_ch_ssh,
  opt_check,
  opt_color,
  opt_copy,
  opt_device,
  opt_device_file,
  opt_env_no_expand,
  opt_explain,
  opt_feature,
  opt_gid,
  opt_help,
  opt_home,
  opt_hostname,
  opt_join,
  opt_join_ct,
  opt_join_pid,
  opt_join_tag,
  opt_join_timeout,
  opt_keep_fd,
  opt_namespaces,
  opt_no_conf,
  opt_no_device,
  opt_no_home,
  opt_no_image_env,
  opt_no_passwd,
  opt_overlay,
  opt_private_tmp,
  opt_quiet,
  opt_seccomp,
  opt_set_env,
  opt_set_env0,
  opt_symlink,
  opt_time_steps,
  opt_uid,
  opt_unset_env,
  opt_usage,
  opt_verbose,
  opt_version,
  opt_write,
  opt_write_fake,
};

inline constexpr const char* files = "Files and directories";
inline constexpr const char* variables = "Environment";
inline constexpr const char* identity = "Identity";
inline constexpr const char* isolation = "Isolation";
inline constexpr const char* joining = "Sharing a container";
inline constexpr const char* information = "Information";

using enum ch::cli::Argument;

inline constexpr ch::cli::Option table[] = {
    {opt_bind, 'b', "bind", required, "SRC[:DST[:ro]]",
     "show the host's SRC at DST in the container (default: /mnt/0 for the first bind, /mnt/1 "
     "for the second, ...); \"ro\" makes it read-only; write a colon as \\:",
     files},
    {opt_bind, 'd', "dir", required, "DIR", "", files},  // the first spelling of --bind
    {opt_cd, 'c', "cd", required, "DIR",
     "start in this directory of the container (default: the image's, else /)", files},
    {opt_cdi_dirs, '\0', "cdi-dirs", required, "DIR[:DIR...]",
     "where the descriptions of devices are (default: /etc/cdi:/var/run/cdi); the last has the "
     "last word",
     files},
    {opt_ch_ssh, '\0', "ch-ssh", none, "",
     "show the ch-ssh that is installed beside ch-run as /usr/bin/ch-ssh", files},
    {opt_copy, '\0', "copy", required, "SRC:DST",
     "show a copy of the host's file SRC, as it is now, at DST in the container, read-only", files},
    {opt_device, '\0', "device", required, "KIND=NAME",
     "give the container a device with all that belongs to it, such as nvidia.com/gpu=0, or "
     "nvidia.com/gpu=all, as the host's CDI files describe it",
     files},
    {opt_device_file, '\0', "device-file", required, "FILE",
     "take devices as ch-device has written them to FILE, instead of --device", files},
    {opt_home, '\0', "home", none, "", "mount your home directory at /home/USER (the default)",
     files},
    {opt_no_device, '\0', "no-device", none, "",
     "no devices, not even those that a configuration file asks for", files},
    {opt_no_home, '\0', "no-home", none, "", "don't mount it", files},
    {opt_no_passwd, '\0', "no-passwd", none, "",
     "keep the image's /etc/passwd and /etc/group (default: generated ones with you in them)",
     files},
    {opt_overlay, '\0', "overlay", required, "DIR",
     "writable image whose changes go to DIR on the host and can be used again", files},
    {opt_private_tmp, 't', "private-tmp", none, "", "an empty /tmp of its own (default: the host's)",
     files},
    {opt_symlink, '\0', "symlink", required, "TARGET:PATH",
     "a symbolic link PATH to TARGET in the container; the image does not change", files},
    {opt_write, 'w', "write", none, "",
     "let the container change the image itself (default: read-only)", files},
    {opt_write_fake, 'W', "write-fake", optional, "SIZE",
     "writable image whose changes are in memory, at most SIZE (default: 12%), and gone at the end",
     files},

    {opt_env_no_expand, '\0', "env-no-expand", none, "",
     "don't expand $NAME in the values that --set-env sets", variables},
    {opt_no_image_env, '\0', "no-image-env", none, "",
     "don't set the variables that the image asks for in its /ch/environment", variables},
    {opt_set_env, '\0', "set-env", optional, "FILE|NAME=VALUE",
     "set one variable, or all that a file of the host lists, one a line; with no argument, those "
     "of the image's /ch/environment, expanded",
     variables},
    {opt_set_env0, '\0', "set-env0", optional, "FILE|NAME=VALUE",
     "the same for a file whose entries end in a NUL, as env -0 writes them", variables},
    {opt_unset_env, '\0', "unset-env", required, "GLOB",
     "unset the variables whose names match, e.g. 'SLURM_*' or '!(HOME|PATH)'", variables},

    {opt_gid, 'g', "gid", required, "GID", "be this group inside (default: your own)", identity},
    {opt_uid, 'u', "uid", required, "UID",
     "be this user inside (default: yourself); 0 is root, inside only", identity},

    {opt_hostname, '\0', "hostname", required, "NAME",
     "the host name inside; implies --namespaces=uts", isolation},
    {opt_keep_fd, '\0', "keep-fd", required, "N",
     "leave descriptor N open for the command; those that the environment names for MPI "
     "(PMI_FD) or make stay open anyway",
     isolation},
    {opt_namespaces, '\0', "namespaces", required, "LIST",
     "namespaces besides user and mount: any of pid, ipc, uts, net, cgroup, time, with commas; "
     "pid brings an init that reaps and forwards signals",
     isolation},
    {opt_seccomp, '\0', "seccomp", none, "",
     "let chown, setuid, mknod and the like appear to succeed, for package managers", isolation},

    {opt_join, 'j', "join", none, "",
     "share one container with the other ch-run of the same job on this machine, so that they "
     "can attach to one another's memory",
     joining},
    {opt_join_ct, '\0', "join-ct", required, "N",
     "how many they are (implies --join; default: what the launcher's variables say); 0: join "
     "the container of the tag if it lives, else make it",
     joining},
    {opt_join_pid, '\0', "join-pid", required, "PID",
     "enter the container of this process, which IMAGE then only describes", joining},
    {opt_join_tag, '\0', "join-tag", required, "TAG",
     "what tells this group from others (implies --join; default: the launcher's name for the "
     "job and step, else the number of the parent process)",
     joining},
    {opt_join_timeout, '\0', "join-timeout", required, "SECONDS",
     "how long to wait for the others (default: 30)", joining},

    {opt_check, '\0', "check", none, "",
     "can this host run containers? Print what it can do and what is in the way; exit status 0 "
     "if it can",
     information},
    {opt_color, '\0', "color", optional, "WHEN",
     "colour messages: auto (on a terminal, the default), always or never", information},
    {opt_explain, '\0', "explain", optional, "FORM",
     "print the steps instead of doing them: as text, json, or a shell script that does the "
     "same with unshare(1) and mount(8)",
     information},
    {opt_feature, '\0', "feature", required, "NAME",
     "exit with 0 if this ch-run has the feature, 1 if not: extglob, overlayfs, seccomp, squash, "
     "tmpfs-xattrs",
     information},
    {opt_no_conf, '\0', "no-conf", none, "",
     "read neither /etc/charlie/ch-run.conf nor the file that $CH_RUN_CONF names", information},
    {opt_quiet, 'q', "quiet", none, "",
     "no warnings; twice: nor the command's standard output; thrice: nor any error output",
     information},
    {opt_time_steps, '\0', "time-steps", none, "", "print how many microseconds each step took",
     information},
    {opt_verbose, 'v', "verbose", none, "",
     "print the steps before doing them; twice: every system call, too; thrice: and the "
     "command's environment",
     information},
    {opt_assembly, '\0', "assembly", required, "WAY",
     "how to put the mounts together: detached (Linux 6.15), attached (5.12) or classic "
     "(older); default: the first that this kernel has",
     information},
    {opt_help, '?', "help", none, "", "print this help and exit", information},
    {opt_help, 'h', "", none, "", "", information},
    {opt_usage, '\0', "usage", none, "", "print a short usage message and exit", information},
    {opt_version, 'V', "version", none, "", "print the version and exit", information},
};

}  // namespace ch_run
