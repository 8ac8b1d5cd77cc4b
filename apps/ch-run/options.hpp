// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The values that the site's configuration and then the command line give to the options
// of option_table.hpp, and how each argument is read.
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
  bool literal = false;  // $NAME in it is not expanded
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
  std::size_t configured_binds = 0;  // how many of them come from a configuration file
  ch::Sequence<ch::UserLink> links{};
  ch::Sequence<CopyOption> copies{};
  ch::Sequence<const char*> devices{};  // to be resolved by ch-device
  const char* cdi_dirs = nullptr;
  const char* device_file = nullptr;  // the output of ch-device for `devices`
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
  const ch::cli::Option* making = nullptr;  // the last one given of makes_container
  ch::Arena* arena = nullptr;               // for texts and lists
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

/// Appends to `list`, in the arena.
template <class T>
const char* append(Options& o, ch::Sequence<T> Options::*list, const T& value) noexcept {
  return o.arena->push_back(o.*list, value) ? nullptr : too_much;
}

/// Binds without destination are numbered, unless they come from a configuration file, where
/// the numbers would surprise the user.
inline const char* take_bind(Options& o, const char* text) noexcept {
  ch::UserBind bind;
  const auto number = static_cast<unsigned>(o.binds.size() - o.configured_binds);
  if (const char* const wrong = parse_bind(text, number, *o.arena, bind)) return wrong;
  return append(o, &Options::binds, bind);
}
inline const char* take_copy(Options& o, const char* text) noexcept {
  CopyOption copy;
  if (const char* const wrong = parse_pair(text, *o.arena, copy.source, copy.destination))
    return wrong;
  return append(o, &Options::copies, copy);
}
inline const char* take_symlink(Options& o, const char* text) noexcept {
  ch::UserLink link;
  if (const char* const wrong = parse_pair(text, *o.arena, link.target, link.destination))
    return wrong;
  return append(o, &Options::links, link);
}
inline const char* take_device(Options& o, const char* text) noexcept {
  return append(o, &Options::devices, text);
}
inline const char* take_directory(Options& o, const char* text) noexcept {
  if (text[0] == '\0') return "--cd needs a directory";
  o.directory = ch::ImagePath(text);
  return nullptr;
}
inline const char* take_write_fake(Options& o, const char* size) noexcept {
  o.overlay = ch::OverlayKind::scratch;
  o.overlay_size = size == nullptr ? "12%" : size;
  if (is_tmpfs_size(o.overlay_size.view())) return nullptr;
  return "--write-fake takes a size, such as 500m, 2g or 12%";
}
inline const char* take_overlay(Options& o, const char* directory) noexcept {
  o.overlay = ch::OverlayKind::directory;
  o.overlay_directory = ch::HostPath(directory);
  return o.overlay_directory.empty() ? "--overlay needs a directory" : nullptr;
}

template <EnvironmentOption::Separator separator>
const char* take_environment(Options& o, const char* text) noexcept {
  using Kind = EnvironmentOption::Kind;
  EnvironmentOption option{Kind::image_file, separator, {}};
  if (text != nullptr) {
    option.text = text;
    const bool assigns = option.text.view().find('=') != std::string_view::npos;
    option.kind = assigns ? Kind::assignment : Kind::host_file;
    if (option.text.empty()) return "--set-env= needs a file or NAME=VALUE";
  }
  return append(o, &Options::environment, option);
}
inline const char* take_unset_env(Options& o, const char* glob) noexcept {
  if (glob[0] == '\0') return "--unset-env: GLOB must have non-zero length";
  const EnvironmentOption option{EnvironmentOption::Kind::unset, {}, glob};
  return append(o, &Options::environment, option);
}

template <auto member>
const char* take_id(Options& o, const char* text) noexcept {
  std::uint64_t value = 0;
  if (!ch::parse_number(text, ch::invalid_id - 1, value))
    return "an id is a number from 0 to 4294967294";
  using Id = typename std::remove_reference_t<decltype(o.*member)>::value_type;
  o.*member = static_cast<Id>(value);
  return nullptr;
}
inline const char* take_hostname(Options& o, const char* name) noexcept {
  o.hostname = name;
  o.namespaces = o.namespaces | ch::ns::uts::flag;
  if (o.hostname.empty() || o.hostname.size() > 64) return "a host name has 1 to 64 bytes";
  return nullptr;
}
inline const char* take_keep_fd(Options& o, const char* text) noexcept {
  std::uint64_t fd = 0;
  if (!ch::parse_number(text, 1048575, fd)) return "--keep-fd takes the number of a descriptor";
  return append(o, &Options::keep_fds, static_cast<int>(fd));
}
inline const char* take_namespaces(Options& o, const char* names) noexcept {
  return parse_namespaces(names, o.namespaces);
}

inline constexpr char color_words[] = "auto always never tty yes no if-tty force none";
/// From the fourth word on these are the names that other programs use.
inline const char* take_color(Options& o, const char* word) noexcept {
  if (word == nullptr) {
    o.color = Color::always;
    return nullptr;
  }
  std::size_t number = 0;
  if (!ch::cli::find_word(color_words, word, number)) return "--color can be auto, always or never";
  o.color = static_cast<Color>(number % 3);
  return nullptr;
}
inline constexpr char explain_words[] = "text json shell";
inline const char* take_explain(Options& o, const char* form) noexcept {
  std::size_t number = 0;
  if (form != nullptr && !ch::cli::find_word(explain_words, form, number))
    return "--explain can be text, json or shell";
  o.explain = static_cast<Explain>(static_cast<std::size_t>(Explain::text) + number);
  return nullptr;
}
inline constexpr char assembly_words[] = "detached attached classic";
inline const char* take_assembly(Options& o, const char* way) noexcept {
  std::size_t number = 0;
  if (!ch::cli::find_word(assembly_words, way, number))
    return "--assembly can be detached, attached or classic";
  o.assembly = static_cast<ch::Assembly>(number);
  return nullptr;
}

}  // namespace ch_run
