// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. What ch-run has been asked: the values that a command line, after the site's
// configuration, gives to the options of option_table.hpp.
#pragma once

#include <optional>

#include "apps/ch-run/join_options.hpp"
#include "apps/ch-run/path_arguments.hpp"
#include "ch/plan/plan.hpp"
#include "ch/policies/mount/tmp.hpp"
#include "ch/policies/ns/namespace_set.hpp"

namespace ch_run {

enum class Explain : std::uint8_t { no, text, json, shell };
enum class Color : std::uint8_t { automatic, always, never };

/// A --set-env, --set-env0 or --unset-env, in the order given; files are read later.
struct EnvironmentOption {
  enum class Kind : std::uint8_t { assignment, host_file, image_file, unset };
  enum class Separator : std::uint8_t { newline, nul };
  Kind kind{};
  Separator separator{};
  ch::ZString text{};
  bool literal = false;  // no $NAME in it is expanded
};

/// A --copy, whose source is read later.
struct CopyOption {
  ch::ZString source{};
  ch::ImagePath destination{};
};

struct Options {
  ch::HostPath image{};
  const char* const* command = nullptr;  // null-terminated
  std::size_t command_words = 0;
  ch::Sequence<ch::UserBind> binds{};
  std::size_t configured_binds = 0;  // how many of them a configuration file has asked for
  ch::Sequence<ch::UserLink> links{};
  ch::Sequence<CopyOption> copies{};
  ch::Sequence<const char*> devices{};  // to be resolved by ch-device
  const char* cdi_dirs = nullptr;
  const char* device_file = nullptr;  // what ch-device has made of `devices`
  ch::Sequence<EnvironmentOption> environment{};
  ch::Sequence<int> keep_fds{};
  ch::ImagePath directory{};
  ch::Access image_access = ch::Access::read_only;
  ch::OverlayKind overlay = ch::OverlayKind::if_needed;
  ch::ZString overlay_size{};
  ch::HostPath overlay_directory{};
  ch::TmpKind tmp = ch::TmpKind::shared_with_host;
  ch::NamespaceFlags namespaces{};
  ch::ZString hostname{};
  JoinOptions join{};
  int making = -1;  // an option of the command line, the last one, that says how to make it
  std::optional<ch::Uid> uid{};
  std::optional<ch::Gid> gid{};
  std::optional<ch::Assembly> assembly{};
  Explain explain = Explain::no;
  Color color = Color::automatic;
  const char* feature = nullptr;
  int verbosity = 0;
  int quietness = 0;
  bool home = true;
  bool passwd = true;
  bool image_environment = true;
  bool expand = true;
  bool seccomp = false;
  bool ch_ssh = false;
  bool device = true;
  bool configuration = true;
  bool time_steps = false;
  bool check = false;
  bool help = false;
  bool usage = false;
  bool version = false;
};

inline UsageError add_environment(const ch::cli::Item& item, EnvironmentOption::Separator separator,
                                  Options& o, ch::Arena& arena) noexcept {
  using Kind = EnvironmentOption::Kind;
  EnvironmentOption option{Kind::image_file, separator, {}};
  if (item.id == opt_unset_env) {
    option.kind = Kind::unset;
    option.text = item.value;
    if (option.text.empty()) return {"--unset-env: GLOB must have non-zero length", {}};
  } else if (item.value != nullptr) {
    option.text = item.value;
    const bool assigns = option.text.view().find('=') != std::string_view::npos;
    option.kind = assigns ? Kind::assignment : Kind::host_file;
    if (option.text.empty()) return {"--set-env= needs a file or NAME=VALUE", {}};
  }
  return arena.push_back(o.environment, option)
             ? UsageError{}
             : UsageError{"too many options", option.text.view()};
}

/// Gives one option's value to `o`. Binds without destination are numbered, unless they
/// come from a configuration file, where the numbers would surprise the user.
inline UsageError apply(const ch::cli::Item& item, Options& o, ch::Arena& arena) noexcept {
  std::uint32_t id = 0;
  switch (item.id) {
    case opt_bind: {
      ch::UserBind bind;
      const auto number = static_cast<unsigned>(o.binds.size() - o.configured_binds);
      const auto problem = parse_bind(item.value, number, arena, bind);
      if (problem.problem != nullptr) return problem;
      return arena.push_back(o.binds, bind) ? UsageError{}
                                            : UsageError{"too many binds", item.value};
    }
    case opt_cd:
      if (item.value[0] == '\0') return {"--cd needs a directory", item.value};
      o.directory = ch::ImagePath(item.value);
      return {};
    case opt_ch_ssh:
      o.ch_ssh = true;
      return {};
    case opt_cdi_dirs:
      o.cdi_dirs = item.value;
      return {};
    case opt_copy: {
      CopyOption copy;
      const auto problem = parse_pair(item.value, arena, copy.source, copy.destination);
      if (problem.problem != nullptr) return problem;
      return arena.push_back(o.copies, copy) ? UsageError{}
                                             : UsageError{"too many options", item.value};
    }
    case opt_symlink: {
      ch::UserLink link;
      const auto problem = parse_pair(item.value, arena, link.target, link.destination);
      if (problem.problem != nullptr) return problem;
      return arena.push_back(o.links, link) ? UsageError{}
                                            : UsageError{"too many options", item.value};
    }
    case opt_device:
      return arena.push_back(o.devices, item.value) ? UsageError{}
                                                    : UsageError{"too many options", item.value};
    case opt_device_file:
      o.device_file = item.value;
      return {};
    case opt_no_device:
      o.device = false;
      return {};
    case opt_home:
      o.home = true;
      return {};
    case opt_no_home:
      o.home = false;
      return {};
    case opt_no_passwd:
      o.passwd = false;
      return {};
    case opt_private_tmp:
      o.tmp = ch::TmpKind::private_tmpfs;
      return {};
    case opt_write:
      o.image_access = ch::Access::read_write;
      return {};
    case opt_write_fake:
      o.overlay = ch::OverlayKind::scratch;
      o.overlay_size = item.value == nullptr ? "12%" : item.value;
      if (!is_tmpfs_size(o.overlay_size.view()))
        return {"--write-fake takes a size, such as 500m, 2g or 12%", o.overlay_size.view()};
      return {};
    case opt_overlay:
      o.overlay = ch::OverlayKind::directory;
      o.overlay_directory = ch::HostPath(item.value);
      if (o.overlay_directory.empty()) return {"--overlay needs a directory", {}};
      return {};
    case opt_set_env:
      return add_environment(item, EnvironmentOption::Separator::newline, o, arena);
    case opt_set_env0:
      return add_environment(item, EnvironmentOption::Separator::nul, o, arena);
    case opt_unset_env:
      return add_environment(item, EnvironmentOption::Separator::newline, o, arena);
    case opt_env_no_expand:
      o.expand = false;
      return {};
    case opt_no_image_env:
      o.image_environment = false;
      return {};
    case opt_uid:
      if (const auto p = parse_id(item.value, id); p.problem != nullptr) return p;
      o.uid = static_cast<ch::Uid>(id);
      return {};
    case opt_gid:
      if (const auto p = parse_id(item.value, id); p.problem != nullptr) return p;
      o.gid = static_cast<ch::Gid>(id);
      return {};
    case opt_hostname:
      o.hostname = item.value;
      o.namespaces = o.namespaces | ch::ns::uts::flag;
      if (o.hostname.empty() || o.hostname.size() > 64)
        return {"a host name has 1 to 64 bytes", item.value};
      return {};
    case opt_join:
    case opt_join_ct:
    case opt_join_pid:
    case opt_join_tag:
    case opt_join_timeout:
      if (const char* problem = apply_join(item, o.join)) return {problem, item.value};
      return {};
    case opt_keep_fd: {
      std::uint64_t fd = 0;
      if (!ch::parse_number(item.value, 1048575, fd))
        return {"--keep-fd takes the number of a descriptor", item.value};
      return arena.push_back(o.keep_fds, static_cast<int>(fd))
                 ? UsageError{}
                 : UsageError{"too many options", item.value};
    }
    case opt_namespaces:
      return parse_namespaces(item.value, o.namespaces);
    case opt_seccomp:
      o.seccomp = true;
      return {};
    case opt_check:
      o.check = true;
      return {};
    case opt_color: {
      static constexpr const char* words[] = {"auto", "always", "never", "tty", "yes",
                                              "no",   "if-tty", "force", "none"};
      static constexpr Color meanings[] = {Color::automatic, Color::always, Color::never,
                                           Color::automatic, Color::always, Color::never,
                                           Color::automatic, Color::always, Color::never};
      std::size_t word = 1;
      if (item.value != nullptr && !parse_word(item.value, words, word))
        return {"--color can be auto, always or never", item.value};
      o.color = meanings[word];
      return {};
    }
    case opt_explain: {
      static constexpr const char* forms[] = {"no", "text", "json", "shell"};
      o.explain = Explain::text;
      if (item.value == nullptr ||
          (parse_word(item.value, forms, o.explain) && o.explain != Explain::no))
        return {};
      return {"--explain can be text, json or shell", item.value};
    }
    case opt_feature:
      o.feature = item.value;
      return {};
    case opt_assembly: {
      static constexpr const char* ways[] = {"detached", "attached", "classic"};
      ch::Assembly way{};
      if (!parse_word(item.value, ways, way))
        return {"--assembly can be detached, attached or classic", item.value};
      o.assembly = way;
      return {};
    }
    case opt_no_conf:
      o.configuration = false;
      return {};
    case opt_quiet:
      ++o.quietness;
      return {};
    case opt_verbose:
      ++o.verbosity;
      return {};
    case opt_time_steps:
      o.time_steps = true;
      return {};
    case opt_help:
      o.help = true;
      return {};
    case opt_usage:
      o.usage = true;
      return {};
    case opt_version:
      o.version = true;
      return {};
    default:
      return {"unknown option", {}};
  }
}

/// Is the option about how the container is made, so that it says nothing to one that exists?
constexpr bool makes_container(int id) noexcept {
  for (const Id one : {opt_bind, opt_ch_ssh, opt_copy, opt_device, opt_gid, opt_hostname,
                       opt_namespaces, opt_no_passwd, opt_overlay, opt_private_tmp, opt_symlink,
                       opt_uid, opt_write, opt_write_fake})
    if (id == one) return true;
  return false;
}

/// Combinations that contradict themselves.
inline UsageError check_together(const Options& o) noexcept {
  if (o.quietness > 0 && o.verbosity > 0) return {"--quiet contradicts --verbose", {}};
  if (o.image_access == ch::Access::read_write && o.overlay != ch::OverlayKind::if_needed)
    return {"--write changes the image, --write-fake and --overlay spare it: choose one", {}};
  if (o.overlay_directory.text.size() > 0 && o.overlay_size.size() > 0)
    return {"--write-fake forgets what is changed, --overlay keeps it: choose one", {}};
  if (o.making >= 0 && o.join.pid != ch::Pid::none) {
    std::string_view name;
    for (const ch::cli::Option& row : table)
      if (row.id == o.making && row.help[0] != '\0') name = row.name;
    return {"--join-pid enters a container as it is, and this option would make another one", name,
            "leave it out, or make a container with it: without --join-pid"};
  }
  if (o.join.wanted && o.join.pid != ch::Pid::none)
    return {"--join-pid names a container, --join a group that makes one: choose one", {}};
  if (o.join.wanted && ch::takes_child(o.namespaces))
    return {"a pid or time namespace can't be shared with --join: it ends with one process", {}};
  return {};
}

/// Reads the command line. Texts are views of argv or in `arena`. Stops early at an option
/// that answers by itself, such as --help.
inline UsageError parse(int argc, const char* const* argv, ch::Arena& arena, Options& o) noexcept {
  auto** command = arena.make<const char*>(static_cast<std::size_t>(argc) + 1);
  if (command == nullptr) return {"too many arguments for ch-run's memory", {}};
  std::size_t words = 0;
  ch::cli::Parser parser(table, argc, argv);
  for (;;) {
    const ch::cli::Item item = parser.next();
    if (item.kind == ch::cli::Item::Kind::end) break;
    if (item.kind == ch::cli::Item::Kind::error) {
      // Most likely an option of the command's.
      if (words > 0)
        return {item.problem, item.subject,
                "if it is the command's, put -- before that: ch-run IMAGE -- COMMAND [ARG...]"};
      return {item.problem, item.subject};
    }
    if (item.kind == ch::cli::Item::Kind::option) {
      if (makes_container(item.id)) o.making = item.id;
      if (const auto problem = apply(item, o, arena); problem.problem != nullptr) return problem;
      if (o.help || o.usage || o.version || o.check || o.feature != nullptr) return {};
    } else if (o.image.empty()) {
      if (item.value[0] == '\0') return {"the image's path is empty", {}};
      o.image = ch::HostPath(item.value);
    } else {
      command[words++] = item.value;
    }
  }
  command[words] = nullptr;
  o.command = command;
  o.command_words = words;
  if (o.image.empty()) return {"no image given", {}};
  if (words > 0 && command[0][0] == '\0') return {"the command is empty", {}};
  return check_together(o);
}

}  // namespace ch_run
