// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. What the arguments and operands of ch-run can be, for its completions. Each
// option of the table that takes an argument has a row, and each word is one that ch-run
// accepts: the tests see to both.
#pragma once

#include "apps/ch-run/option_table.hpp"
#include "ch/cli/completion.hpp"

namespace ch_run {

using ch::cli::Completes;

inline constexpr ch::cli::Argues argument_kinds[] = {
    {opt_assembly, Completes::words, "detached attached classic"},
    {opt_bind, Completes::bind},
    {opt_cd, Completes::image_directory},
    {opt_cdi_dirs, Completes::directory},
    {opt_color, Completes::words, "auto always never"},
    {opt_copy, Completes::bind},
    {opt_device, Completes::nothing},
    {opt_device_file, Completes::file},
    {opt_explain, Completes::words, "text json shell"},
    {opt_feature, Completes::words, "extglob overlayfs seccomp squash tmpfs-xattrs"},
    {opt_gid, Completes::nothing},
    {opt_hostname, Completes::nothing},
    {opt_join_ct, Completes::nothing},
    {opt_join_pid, Completes::nothing},
    {opt_join_tag, Completes::nothing},
    {opt_join_timeout, Completes::nothing},
    {opt_keep_fd, Completes::nothing},
    {opt_namespaces, Completes::list, "pid ipc uts net cgroup time"},
    {opt_overlay, Completes::directory},
    {opt_set_env, Completes::file},
    {opt_set_env0, Completes::file},
    {opt_symlink, Completes::nothing},
    {opt_uid, Completes::nothing},
    {opt_unset_env, Completes::nothing},
    {opt_write_fake, Completes::nothing},
};

inline constexpr Completes operand_kinds[] = {Completes::image, Completes::image_program,
                                              Completes::file};

inline constexpr ch::cli::Tool documented{"ch-run", table, argument_kinds, operand_kinds};

}  // namespace ch_run
