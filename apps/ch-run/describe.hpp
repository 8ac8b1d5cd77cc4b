// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. From options, image and machine to the container's description and the command.
#pragma once

#include "apps/ch-run/covered.hpp"
#include "apps/ch-run/image_metadata.hpp"
#include "apps/ch-run/inner_environment.hpp"
#include "apps/ch-run/join.hpp"
#include "apps/ch-run/launch.hpp"
#include "apps/ch-run/names.hpp"
#include "apps/ch-run/own_path.hpp"
#include "apps/ch-run/read_file.hpp"

namespace ch_run {

/// Where home is inside, and what is mounted there.
inline ZString describe_home(Launch& l, const Account& owner) noexcept {
  const char* variable = l.environment.get("HOME");
  const ZString source = variable != nullptr && variable[0] == '/' ? variable : owner.home;
  TextBuffer<24> number;
  number << "user" << static_cast<unsigned>(l.facts.uid);
  const char* made_up = l.arena.join(number.view());
  const ZString user = owner.name.empty() && made_up != nullptr ? made_up : owner.name;
  const char* inside = l.arena.join("/home/", user);
  if (l.options.home && source.empty())
    l.messages().warning("no home directory: HOME is not set, and your account names none");
  if (!l.options.home || source.empty() || user.empty() || inside == nullptr) return "/";
  l.container.mounts.get<Home>() = {HostPath(source), user};
  return inside;
}

/// Adds the bind of ch-ssh, which lies where this program lies.
[[gnu::noinline]] inline bool bind_ch_ssh(Launch& l) noexcept {
  const std::string_view self = own_path(l.k, l.arena);
  const char* source = l.arena.join(head(self, self.rfind('/')), "/ch-ssh");
  return source != nullptr &&
         l.arena.push_back(l.options.binds, UserBind{HostPath(source), ImagePath("/usr/bin/ch-ssh"),
                                                     Access::read_only});
}

/// Reads the sources of --copy and describes what is laid over the image.
inline bool describe_additions(Launch& l) noexcept {
  const Options& o = l.options;
  Sequence<UserFile> copied(l.arena.make<UserFile>(o.copies.size()), o.copies.size());
  for (const CopyOption& copy : o.copies) {
    const auto text = read_file(l.k, Fd::cwd, copy.source.c_str(), l.arena);
    if (text && text->size() < largest_file && copied.push_back({*text, copy.destination}))
      continue;
    l.problem << "can't copy " << copy.source << ": ";
    if (!text)
      l.problem << text.error().code;
    else
      l.problem << "it is larger than 2 MiB, or there is too much to copy";
    l.remedy = "--copy takes a small file of the host that you may read; --bind shows any other";
    return false;
  }
  l.container.mounts.get<Additions>() = {o.links.span(), copied.span()};
  return true;
}

/// Fills in the container's description from options, image and machine. False:
/// `l.problem` says what is wrong.
inline bool describe(Launch& l, const ImageMetadata& metadata) noexcept {
  const Options& o = l.options;
  auto& c = l.container;
  c.ids = {o.uid.value_or(l.facts.uid), o.gid.value_or(l.facts.gid)};
  c.namespaces.more = o.namespaces;
  c.hostname = o.hostname;
  c.directory = o.directory;
  const bool elsewhere = !metadata.directory.empty() && metadata.directory != ZString("/");
  if (o.directory.empty() && elsewhere) {
    c.directory = ImagePath(metadata.directory);
    c.if_directory_missing = IfMissing::skip;  // nobody has asked for it just now
  }
  if (o.ch_ssh && !bind_ch_ssh(l)) {
    l.problem << "can't find out where ch-ssh is";
    l.remedy = "it lies beside ch-run, which /proc/self/exe must show";
    return false;
  }
  if (!describe_additions(l)) return false;
  l.remedy = o.join.pid != Pid::none
                 ? "name a process that is in a container of yours"
                 : "start it by mpirun or srun, or say how many there are with --join-ct";
  if (!choose_join(l.k, o.join, l.environment, l.arena, c.join, l.problem)) return false;
  c.mounts.get<ImageRoot<>>() = {o.image, o.image_access};
  c.mounts.get<WritableLayer>() = {o.overlay, o.overlay_directory, o.overlay_size};
  c.mounts.get<Tmp<>>() = {o.tmp};
  c.mounts.get<UserBinds>() = {o.binds.span()};

  const auto host_uid = static_cast<std::uint32_t>(l.facts.uid);
  const auto inner_uid = static_cast<std::uint32_t>(c.ids.chosen_uid);
  const auto inner_gid = static_cast<std::uint32_t>(c.ids.chosen_gid);
  Account owner;
  if (o.home || (o.passwd && inner_uid == host_uid))
    owner = look_up(l.k, "passwd", host_uid, l.arena);
  const ZString home = describe_home(l, owner);
  if (o.passwd) {
    const Account inner = inner_uid == host_uid ? owner : find_account(l.k, l.arena, inner_uid);
    const Account group = o.gid && *o.gid != l.facts.gid
                              ? find_account(l.k, l.arena, inner_gid, "/etc/group")
                              : look_up(l.k, "group", inner_gid, l.arena);
    c.mounts.get<Accounts>() = {inner.name, group.name, home};
  } else {
    c.mounts.get<Accounts>().kind = AccountsKind::of_image;
  }
  if (o.join.pid == Pid::none) warn_of_covered(l);
  l.remedy = "--set-env takes NAME=VALUE, or a file of the host with such lines";
  return prepare_environment(l.k, o, metadata, home, l.environment, l.arena, l.problem);
}

/// The words to execute: the user's, else the image's, else a shell for someone at a
/// terminal. Null: there is nothing to run.
inline const char* const* command_of(Launch& l, const ImageMetadata& metadata) noexcept {
  if (l.options.command_words > 0) return l.options.command;
  if (const auto* recorded = image_command(metadata, l.arena)) return recorded;
  static constexpr const char* shell[] = {"/bin/sh", nullptr};
  return is_terminal(static_cast<Fd>(0)) ? shell : nullptr;
}

}  // namespace ch_run
