// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. What ch-run can be asked: the table of its options, and the values that a
// command line gives them.
#pragma once

#include <optional>

#include "ch/cli/option.hpp"
#include "ch/plan/plan.hpp"
#include "ch/policies/mount/tmp.hpp"

namespace ch_run {

enum Id : int {
  opt_assembly,
  opt_bind,
  opt_cd,
  opt_explain,
  opt_gid,
  opt_help,
  opt_home,
  opt_no_home,
  opt_private_tmp,
  opt_uid,
  opt_verbose,
  opt_version,
  opt_write,
};

inline constexpr const char* files = "Files and directories";
inline constexpr const char* identity = "Identity";
inline constexpr const char* information = "Information";

inline constexpr ch::cli::Option table[] = {
    {opt_bind, 'b', "bind", ch::cli::Argument::required, "SRC[:DST[:ro]]",
     "show the host's SRC at DST in the container (default: /mnt/0 for the first bind, /mnt/1 "
     "for the second, ...); \"ro\" makes it read-only; write a colon as \\:",
     files},
    {opt_bind, 'd', "dir", ch::cli::Argument::required, "DIR", "", files},  // the first spelling
    {opt_cd, 'c', "cd", ch::cli::Argument::required, "DIR",
     "start in this directory of the container (default: /)", files},
    {opt_home, '\0', "home", ch::cli::Argument::none, "",
     "mount your home directory at /home/USER (the default)", files},
    {opt_no_home, '\0', "no-home", ch::cli::Argument::none, "", "do not", files},
    {opt_private_tmp, 't', "private-tmp", ch::cli::Argument::none, "",
     "an empty /tmp of its own (default: the host's)", files},
    {opt_write, 'w', "write", ch::cli::Argument::none, "",
     "let the container change the image (default: read-only)", files},
    {opt_gid, 'g', "gid", ch::cli::Argument::required, "GID",
     "be this group inside (default: your own)", identity},
    {opt_uid, 'u', "uid", ch::cli::Argument::required, "UID",
     "be this user inside (default: yourself); 0 is root, inside only", identity},
    {opt_explain, '\0', "explain", ch::cli::Argument::optional, "FORM",
     "print the steps instead of doing them: as text, json, or a shell script that does the "
     "same with unshare(1) and mount(8)",
     information},
    {opt_verbose, 'v', "verbose", ch::cli::Argument::none, "",
     "print the steps before doing them; twice: every system call, too", information},
    {opt_assembly, '\0', "assembly", ch::cli::Argument::required, "WAY",
     "how to put the mounts together: detached (Linux 6.15), attached (5.12) or classic "
     "(older); default: the first that this kernel has",
     information},
    {opt_help, '?', "help", ch::cli::Argument::none, "", "print this help and exit", information},
    {opt_help, 'h', "", ch::cli::Argument::none, "", "", information},
    {opt_version, 'V', "version", ch::cli::Argument::none, "", "print the version and exit",
     information},
};

enum class Explain : std::uint8_t { no, text, json, shell };

struct Options {
  ch::HostPath image{};
  const char* const* command = nullptr;  // null-terminated
  std::size_t command_words = 0;
  ch::Sequence<ch::UserBind> binds{};
  ch::ImagePath directory{};
  ch::Access image_access = ch::Access::read_only;
  ch::TmpKind tmp = ch::TmpKind::shared_with_host;
  bool home = true;
  std::optional<ch::Uid> uid{};
  std::optional<ch::Gid> gid{};
  std::optional<ch::Assembly> assembly{};
  Explain explain = Explain::no;
  int verbosity = 0;
  bool help = false;
  bool version = false;
};

/// A command line that can't be understood: what is wrong, and with which word.
struct UsageError {
  const char* problem = nullptr;
  std::string_view subject{};
};

/// Splits SRC[:DST[:ro]] at unescaped colons, with "\:" and "\\" undone, in the arena.
/// `number` names the default destination.
inline UsageError parse_bind(const char* text, unsigned number, ch::Arena& arena,
                             ch::UserBind& bind) noexcept {
  const std::string_view whole(text);
  char* copy = arena.make<char>(whole.size() + 1);
  if (copy == nullptr) return {"too many options for ch-run's memory", whole};
  const char* part[3] = {copy, nullptr, nullptr};
  int parts = 1;
  char* out = copy;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    if (whole[i] == '\\' && i + 1 < whole.size() && (whole[i + 1] == ':' || whole[i + 1] == '\\')) {
      *out++ = whole[++i];
    } else if (whole[i] == ':') {
      if (parts == 3) return {"too many colons (write a colon in a path as \\:) in --bind", whole};
      *out++ = '\0';
      part[parts++] = out;
    } else {
      *out++ = whole[i];
    }
  }
  *out = '\0';
  if (part[0][0] == '\0') return {"no source in --bind", whole};
  bind.source = ch::HostPath(part[0]);
  if (part[1] == nullptr || (part[1][0] == '\0' && part[2] != nullptr)) {
    ch::TextBuffer<24> destination;
    destination << "/mnt/" << number;
    const char* kept = arena.join(destination.view());
    if (kept == nullptr) return {"too many options for ch-run's memory", whole};
    bind.destination = ch::ImagePath(kept);
  } else if (part[1][0] != '/') {
    return {"the destination must be an absolute path in --bind", whole};
  } else if (std::string_view(part[1]).find_first_not_of('/') == std::string_view::npos) {
    return {"the destination can't be / in --bind", whole};
  } else {
    bind.destination = ch::ImagePath(part[1]);
  }
  if (part[2] == nullptr) return {};
  const std::string_view mode(part[2]);
  if (mode != "ro" && mode != "rw")
    return {"after the second colon there can only be ro or rw, in --bind", whole};
  bind.access = mode == "ro" ? ch::Access::read_only : ch::Access::read_write;
  return {};
}

inline UsageError parse_id(const char* text, std::uint32_t& id) noexcept {
  std::uint64_t value = 0;
  if (!ch::parse_number(text, ch::invalid_id - 1, value))
    return {"an id is a number from 0 to 4294967294", text};
  id = static_cast<std::uint32_t>(value);
  return {};
}

/// One of the words, by position; false if `text` is none of them.
template <class T>
bool parse_word(const char* text, std::span<const char* const> words, T& out) noexcept {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (std::string_view(text) != words[i]) continue;
    out = static_cast<T>(i);
    return true;
  }
  return false;
}

inline UsageError apply(const ch::cli::Item& item, Options& o, ch::Arena& arena) noexcept {
  std::uint32_t id = 0;
  switch (item.id) {
    case opt_bind: {
      ch::UserBind bind;
      const auto problem =
          parse_bind(item.value, static_cast<unsigned>(o.binds.size()), arena, bind);
      if (problem.problem != nullptr) return problem;
      return o.binds.push_back(bind) ? UsageError{} : UsageError{"too many binds", item.value};
    }
    case opt_cd:
      if (item.value[0] == '\0') return {"--cd needs a directory", item.value};
      o.directory = ch::ImagePath(item.value);
      return {};
    case opt_home:
      o.home = true;
      return {};
    case opt_no_home:
      o.home = false;
      return {};
    case opt_private_tmp:
      o.tmp = ch::TmpKind::private_tmpfs;
      return {};
    case opt_write:
      o.image_access = ch::Access::read_write;
      return {};
    case opt_uid:
      if (const auto p = parse_id(item.value, id); p.problem != nullptr) return p;
      o.uid = static_cast<ch::Uid>(id);
      return {};
    case opt_gid:
      if (const auto p = parse_id(item.value, id); p.problem != nullptr) return p;
      o.gid = static_cast<ch::Gid>(id);
      return {};
    case opt_explain: {
      static constexpr const char* forms[] = {"no", "text", "json", "shell"};
      o.explain = Explain::text;
      if (item.value == nullptr || (parse_word(item.value, forms, o.explain) &&
                                    o.explain != Explain::no))
        return {};
      return {"--explain can be text, json or shell", item.value};
    }
    case opt_assembly: {
      static constexpr const char* ways[] = {"detached", "attached", "classic"};
      ch::Assembly way{};
      if (!parse_word(item.value, ways, way))
        return {"--assembly can be detached, attached or classic", item.value};
      o.assembly = way;
      return {};
    }
    case opt_verbose:
      ++o.verbosity;
      return {};
    case opt_help:
      o.help = true;
      return {};
    case opt_version:
      o.version = true;
      return {};
    default:
      return {"unknown option", {}};
  }
}

/// Reads the whole command line. Texts are views of argv or in `arena`.
inline UsageError parse(int argc, const char* const* argv, ch::Arena& arena, Options& o) noexcept {
  const auto words = static_cast<std::size_t>(argc);
  o.binds = {arena.make<ch::UserBind>(words), words};
  auto** command = arena.make<const char*>(words + 1);
  if (o.binds.capacity() == 0 || command == nullptr)
    return {"too many arguments for ch-run's memory", {}};
  ch::cli::Parser parser(table, argc, argv);
  for (;;) {
    const ch::cli::Item item = parser.next();
    if (item.kind == ch::cli::Item::Kind::end) break;
    if (item.kind == ch::cli::Item::Kind::error) return {item.problem, item.subject};
    if (item.kind == ch::cli::Item::Kind::option) {
      if (const auto problem = apply(item, o, arena); problem.problem != nullptr) return problem;
      if (o.help || o.version) return {};
    } else if (o.image.empty()) {
      if (item.value[0] == '\0') return {"the image's path is empty", {}};
      o.image = ch::HostPath(item.value);
    } else {
      command[o.command_words++] = item.value;
    }
  }
  command[o.command_words] = nullptr;
  o.command = command;
  if (o.image.empty()) return {"no image given", {}};
  if (o.command_words == 0) return {"no command given", {}};
  if (o.command[0][0] == '\0') return {"the command is empty", {}};
  return {};
}

}  // namespace ch_run
