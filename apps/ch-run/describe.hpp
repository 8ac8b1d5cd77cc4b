// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. Turns the options into the library's description of the container: reads the files that
// they name, and sets a remedy for each failure.
#pragma once

#include "apps/ch-run/covered.hpp"
#include "apps/ch-run/join.hpp"
#include "apps/ch-run/launch.hpp"
#include "apps/ch-run/own_path.hpp"
#include "ch/text_file.hpp"

namespace ch_run {

/// Adds the bind of ch-ssh, which is installed beside this program. False: `l.problem` says why
/// not.
[[gnu::noinline]] inline bool bind_ch_ssh(Launch& l) noexcept {
  const std::string_view self = own_path(l.k, l.arena);
  const char* source = l.arena.join(head(self, self.rfind('/')), "/ch-ssh");
  kernel::Statx status;
  if (self.empty() || source == nullptr) {
    l.problem << "can't find out where ch-ssh is";
    l.remedy = "it is beside ch-run, which /proc/self/exe must show";
    return false;
  }
  if (const auto there = kernel::statx(l.k, Fd::cwd, source, 0, status); !there.ok()) {
    l.problem << "can't bind ch-ssh, expected at " << source << ": " << there.error();
    l.remedy = "install it there, beside ch-run, or leave out --ch-ssh";
    return false;
  }
  return l.arena.push_back(
      l.options.binds, UserBind{HostPath(source), ImagePath("/usr/bin/ch-ssh"), Access::read_only});
}

/// Reads the sources of --copy. False: `l.problem` says which can't be read.
inline bool read_copies(Launch& l, Sequence<UserFile>& copied) noexcept {
  for (const CopyOption& copy : l.options.copies) {
    const auto text = read_text_file(l.k, Fd::cwd, copy.source.c_str(), l.arena);
    if (text && l.arena.push_back(copied, UserFile{*text, copy.destination})) continue;
    l.remedy = "--copy takes a file of the host that you may read; for others use --bind";
    l.report_unreadable("can't copy ", copy.source, text ? Errno::enomem : text.error().code);
    return false;
  }
  return true;
}

/// The edit for one option; reads the file that it names, if any.
inline Result<InnerEdit> edit_of(Launch& l, const EnvironmentOption& option) noexcept {
  using Kind = EnvironmentOption::Kind;
  InnerEdit inner;
  EnvironmentEdit& edit = inner.edit;
  edit.expansion = l.options.expand && !option.literal ? Expansion::on : Expansion::off;
  edit.kind = option.separator == EnvironmentOption::Separator::nul ? EditKind::set_records
                                                                    : EditKind::set_lines;
  if (option.kind == Kind::image_file) {
    inner.of_image = true;
  } else if (option.kind == Kind::host_file) {
    const auto text = read_text_file(l.k, Fd::cwd, option.text.c_str(), l.arena);
    if (!text) return failure(text.error());
    edit.text = *text;
    edit.file = option.text;
  } else {
    edit.kind = option.kind == Kind::unset ? EditKind::unset_glob : EditKind::set_assignment;
    edit.text = option.text;
  }
  return inner;
}

/// Reads the files of --set-env. False: `l.problem` says which can't be read.
inline bool read_edits(Launch& l, Sequence<InnerEdit>& edits) noexcept {
  for (const EnvironmentOption& option : l.options.environment) {
    const auto edit = edit_of(l, option);
    if (edit && l.arena.push_back(edits, *edit)) continue;
    l.report_unreadable("can't read ", option.text, edit ? Errno::enomem : edit.error().code);
    return false;
  }
  return true;
}

/// Fills in `l.made` and the environment. Returns 0, or the exit status: `l.problem` says what
/// is wrong, and `l.remedy` what to do.
inline int describe(Launch& l) noexcept {
  const Options& o = l.options;
  if (o.ch_ssh && !bind_ch_ssh(l)) return exit_container;
  Sequence<UserFile> copied;
  if (!read_copies(l, copied)) return exit_container;
  ChosenJoin join;
  l.remedy = o.join.pid != Pid::none
                 ? "name a process in one of your containers"
                 : "start it with mpirun or srun, or give their number with --join-ct";
  if (!choose_join(l.k, o.join, l.environment, l.arena, join, l.problem))
    return o.join.pid != Pid::none ? exit_container : exit_usage;
  l.remedy = "--set-env takes NAME=VALUE, or a file of the host with such lines";
  Sequence<InnerEdit> edits;
  if (!read_edits(l, edits)) return exit_container;
  // Opened once for all uses. If it does not exist, planning reports that.
  const auto opened =
      kernel::openat(l.k, Fd::cwd, o.image.c_str(), kernel::o_path | kernel::o_directory);
  const HostIntegratedChoices choices{
      .image = o.image,
      .image_directory = opened.ok() ? opened.value() : Fd::none,
      .image_access = o.image_access,
      .layer = {o.overlay, o.overlay_directory, o.overlay_size},
      .tmp = o.tmp,
      .binds = o.binds.span(),
      .links = o.links.span(),
      .files = copied.span(),
      .namespaces = o.namespaces,
      .hostname = o.hostname,
      .join = join,
      .uid = o.uid,
      .gid = o.gid,
      .accounts = o.passwd,
      .home = o.home,
      .directory = o.directory,
      .command = o.command_words > 0 ? o.command : nullptr,
      .image_environment = o.image_environment,
      .environment = edits.span(),
      .keep_descriptors = o.keep_fds.span(),
      .emulate_root = o.seccomp,
  };
  const auto problem =
      integrate(l.k, l.facts, choices, l.environment, l.made, Descriptors::close_at_exec);
  if (l.made.home == HomeFound::nowhere)
    l.messages().warning("no home directory: HOME is not set, and your account names none");
  if (problem.ok()) {
    if (o.join.pid == Pid::none) warn_of_covered(l);
    return 0;
  }
  l.problem << problem;
  if (problem.code != Errno::einval) {
    l.problem << ": " << problem.code;
    l.remedy = "unpack the image again, or correct the files in its /ch";
    return exit_container;
  }
  if (!problem.what.of_image) return exit_usage;
  l.remedy = "correct that file of the image, or leave it out with --no-image-env";
  return exit_container;
}

/// If no command is given: a shell if standard input is a terminal. False: it is not.
inline bool choose_shell(Program& program) noexcept {
  static constexpr const char* shell[] = {"/bin/sh", nullptr};
  if (!is_terminal(static_cast<Fd>(0))) return false;
  program.name = shell[0];
  program.argv = shell;
  return true;
}

}  // namespace ch_run
