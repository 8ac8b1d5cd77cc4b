// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. The container of `ch-run IMAGE -- COMMAND`, for any program: integrate() fills in a
// container that feels like the host, its program, and the program's environment, from facts about
// the machine, the image, the caller's environment and the caller's choices. launch.hpp launches
// it. No heap, no libc; not for use between clone and exec.
#pragma once

#include <optional>

#include "ch/account_names.hpp"
#include "ch/inner_environment.hpp"
#include "ch/launcher_descriptors.hpp"
#include "ch/plan/root_emulation.hpp"
#include "ch/presets.hpp"
#include "ch/types/scoped_fd.hpp"

namespace ch {

/// What the caller wants. Everything but the image has a default. Texts and spans are views that
/// must outlive what is made from them.
struct HostIntegratedChoices {
  HostPath image{};
  Fd image_directory = Fd::none;  // of `image`, open until the launch: guards against replacement
  FoundBy image_by = FoundBy::path;
  Access image_access = Access::read_only;
  WritableLayer layer{};
  TmpKind tmp = TmpKind::shared_with_host;
  std::span<const UserBind> binds{};
  std::span<const UserLink> links{};
  std::span<const UserFile> files{};

  NamespaceFlags namespaces{};  // besides user and mount
  ZString hostname{};           // in a uts namespace, which `namespaces` must have
  ChosenJoin join{};
  std::optional<Uid> uid{};  // inside; the caller's own
  std::optional<Gid> gid{};
  bool accounts = true;  // /etc/passwd and /etc/group are made, not the image's; but see
                         // manages_packages
  bool home = true;      // the caller's home directory is inside

  ImagePath directory{};                 // to start in; the image's working directory, else /
  const char* const* command = nullptr;  // null-terminated; the image's own
  bool image_environment = true;
  std::span<const InnerEdit> environment{};  // in this order, after the image's
  std::span<const int> keep_descriptors{};   // besides those of MPI launchers and make
  bool emulate_root = false;  // calls that only root may make appear to succeed, for package
                              // managers (plan/root_emulation.hpp)
};

/// What became of the caller's home directory.
enum class HomeFound : std::uint8_t { inside, not_wanted, nowhere };

/// A container, and the program to run in it: `launch.hpp`'s run, spawn and enter take both.
struct HostIntegrated {
  presets::HostIntegratedChosen container{};
  Program program{};  // without argv: neither the caller nor the image names a command
  HomeFound home = HomeFound::inside;
};

/// Why there is none: EINVAL (an edit of the environment), ENOMEM (the arena is too small),
/// EIO (the image's /ch can't be read).
struct HostIntegratedProblem {
  Errno code = Errno::none;
  EditProblem what{};

  [[nodiscard]] constexpr bool ok() const noexcept { return code == Errno::none; }
};

/// Writes the problem as a sentence without an end.
constexpr TextWriter& operator<<(TextWriter& out, const HostIntegratedProblem& problem) noexcept {
  return out << problem.what;
}

namespace detail {

/// Is this for installing packages, which may create users? Then the image's own accounts are used,
/// if it has any.
template <kernel::Kernel K>
bool manages_packages(K& k, const HostFacts& facts, const HostIntegratedChoices& c,
                      Descriptors descriptors) noexcept {
  if (!c.emulate_root || c.uid.value_or(facts.uid) != Uid::root ||
      (c.image_access == Access::read_only && c.layer.kind == OverlayKind::if_needed))
    return false;
  const auto opened = kernel::openat(k, c.image_directory != Fd::none ? c.image_directory : Fd::cwd,
                                     c.image_directory != Fd::none ? "." : c.image.c_str(),
                                     kernel::o_path | kernel::o_directory);
  if (!opened.ok()) return false;
  const ScopedFd image(k, descriptors, opened.value());
  const auto passwd = kernel::open_in_root(k, image.get(), "/etc/passwd", kernel::o_path);
  if (!passwd.ok()) return false;
  const ScopedFd file(k, descriptors, passwd.value());
  kernel::Statx status;
  return kernel::statx(k, file.get(), "", kernel::at_empty_path, status).ok() && status.size > 0;
}

/// The home directory inside, which is also set in the container; `/` if there is none.
inline ZString set_home(HostIntegrated& made, const HostFacts& facts,
                        const HostIntegratedChoices& choices, const Account& owner,
                        Environment& environment) noexcept {
  made.home = HomeFound::not_wanted;
  if (!choices.home) return "/";
  const char* variable = environment.get("HOME");
  const ZString source = variable != nullptr && variable[0] == '/' ? variable : owner.home;
  made.home = HomeFound::nowhere;
  if (source.empty()) return "/";
  TextBuffer<24> number;
  number << "user" << static_cast<unsigned>(facts.uid);
  const ZString user =
      owner.name.empty() ? ZString(environment.arena().join(number.view())) : owner.name;
  const ZString inside = environment.arena().join("/home/", user);
  if (user.empty() || inside.empty()) return "/";  // arena full: planning will fail, too
  made.container.mounts.get<Home>() = {HostPath(source), user};
  made.home = HomeFound::inside;
  return inside;
}

template <kernel::Kernel K>
void set_home_and_accounts(K& k, HostIntegrated& made, const HostFacts& facts,
                           const HostIntegratedChoices& choices, Environment& environment,
                           Descriptors descriptors, ZString& home) noexcept {
  Arena& arena = environment.arena();
  const auto host_uid = static_cast<std::uint32_t>(facts.uid);
  const auto inner_uid = static_cast<std::uint32_t>(choices.uid.value_or(facts.uid));
  const auto inner_gid = static_cast<std::uint32_t>(choices.gid.value_or(facts.gid));
  auto& managers = made.container.mounts.get<PackageManagers>();
  managers.emulate_root = manages_packages(k, facts, choices, descriptors);
  const bool generated = choices.accounts && !managers.emulate_root;
  Account owner;
  if (choices.home || (generated && inner_uid == host_uid))
    owner = look_up_account(k, "passwd", host_uid, arena, descriptors);
  home = set_home(made, facts, choices, owner, environment);
  auto& accounts = made.container.mounts.get<Accounts>();
  if (!generated) {
    accounts.kind = AccountsKind::of_image;
    return;
  }
  const Account inner =
      inner_uid == host_uid ? owner : find_account(k, arena, inner_uid, "/etc/passwd", descriptors);
  const Account group = choices.gid && *choices.gid != facts.gid
                            ? find_account(k, arena, inner_gid, "/etc/group", descriptors)
                            : look_up_account(k, "group", inner_gid, arena, descriptors);
  accounts = {inner.name, group.name, home};
}

}  // namespace detail

/// Fills in `made` from `facts`, which probe() gives, the image, the account files, `environment`,
/// which is the caller's at first and becomes the program's, and `choices`.
///
/// Effect: reads /ch of the image, /etc/passwd and /etc/group, and may start getent; nothing
/// is mounted or made. Allocates only in the environment's arena: 256 KiB are plenty if the
/// image's /ch/environment is small. An empty or missing image path is refused later, by the plan.
/// Errors: see HostIntegratedProblem.
///
///     ch::Environment environment(arena, envp);
///     ch::HostIntegrated made;
///     const auto problem = ch::integrate(k, facts, {.image = ch::HostPath("/img")}, environment,
///                                        made);
///     if (problem.ok()) ended = ch::run(k, made.container, made.program, arena);
template <kernel::Kernel K>
[[nodiscard]] HostIntegratedProblem integrate(
    K& k, const HostFacts& facts, const HostIntegratedChoices& choices, Environment& environment,
    HostIntegrated& made, Descriptors descriptors = Descriptors::close_now) noexcept {
  Arena& arena = environment.arena();
  ImageMetadata metadata;
  if (choices.image_directory != Fd::none)
    metadata = read_metadata(k, choices.image_directory, arena, descriptors);
  else if (!choices.image.empty())
    metadata = read_metadata(k, choices.image, arena, descriptors);
  if (metadata.error.code != Errno::none)
    return {metadata.error.code, {"can't read what the image says of itself", metadata.error.path}};

  auto& c = made.container;
  c.ids = {choices.uid, choices.gid};
  c.namespaces.more = choices.namespaces;
  c.hostname = choices.hostname;
  c.join = choices.join;
  c.directory = choices.directory;
  if (c.directory.empty() && !metadata.directory.empty() && metadata.directory != ZString("/")) {
    c.directory = ImagePath(metadata.directory);
    c.if_directory_missing = IfMissing::skip;  // requested by the image, not by the caller
  }
  c.mounts.get<ImageRoot<>>() = {choices.image, choices.image_access, choices.image_directory,
                                 choices.image_by};
  c.mounts.get<WritableLayer>() = choices.layer;
  c.mounts.get<Tmp<>>() = {choices.tmp};
  c.mounts.get<Additions>() = {choices.links, choices.files};
  c.mounts.get<UserBinds>() = {choices.binds};

  ZString home;
  detail::set_home_and_accounts(k, made, facts, choices, environment, descriptors, home);
  bool& manages = c.mounts.get<PackageManagers>().emulate_root;
  manages = manages && made.home == HomeFound::inside;
  if (manages) environment.set("APT_CONFIG", PackageManagers::apt_configuration);
  const EditProblem wrong = prepare_environment(environment, metadata, home,
                                                choices.image_environment, choices.environment);
  if (environment.full()) return {Errno::enomem, {"no memory left for the environment"}};
  if (!wrong.ok()) return {Errno::einval, wrong};

  const char* const* command = choices.command;
  if (command == nullptr) command = image_command(metadata, arena);
  made.program = {
      command == nullptr ? ZString() : ZString(command[0]),
      command,
      environment.envp(),
      environment.get("PATH"),
      kept_descriptors(k, choices.keep_descriptors,
                       std::holds_alternative<LivingTag>(choices.join.choice), environment,
                       descriptors),
      choices.emulate_root ? root_emulation::filter<> : std::span<const kernel::BpfInstruction>{}};
  return {};
}

}  // namespace ch
