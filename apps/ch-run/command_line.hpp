// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The command line of ch-run, read: options by the table until the command's name, whose
// options are its own; then a check for contradictions.
#pragma once

#include "apps/ch-run/option_table.hpp"

namespace ch_run {

/// Combinations that contradict themselves.
inline UsageError check_together(const Options& o) noexcept {
  if (o.quietness > 0 && o.verbosity > 0) return {"--quiet contradicts --verbose", {}};
  if (o.image_access == ch::Access::read_write && o.overlay != ch::OverlayKind::if_needed)
    return {"--write changes the image, --write-fake and --overlay spare it: choose one", {}};
  if (o.overlay_directory.text.size() > 0 && o.overlay_size.size() > 0)
    return {"--write-fake forgets what is changed, --overlay keeps it: choose one", {}};
  if (o.making != nullptr && o.join.pid != ch::Pid::none)
    return {"--join-pid enters a container as it is, and this option would make another one",
            o.making->name, "leave it out, or make a container with it: without --join-pid"};
  if (o.join.wanted && o.join.pid != ch::Pid::none)
    return {"--join-pid names a container, --join a group that makes one: choose one", {}};
  if (o.join.wanted && ch::needs_child(o.namespaces))
    return {"a pid or time namespace can't be shared with --join: it ends with one process", {}};
  return {};
}

/// A remedy that names each option that `word` may abbreviate, or null if there is no room for it.
inline const char* name_candidates(std::string_view word, ch::Arena& arena) noexcept {
  const auto name = ch::head(word, word.find('='));
  const char* named = "say which:";
  for (const ch::cli::Option& o : table)
    if (named != nullptr && ch::head(o.name, name.size() - 2) == ch::tail(name, 2))
      named = arena.join(named, " --", o.name);
  return named;
}

/// Reads the command line. Texts are views of argv or in `arena`. Stops early at an option such as
/// --help.
inline UsageError parse(int argc, const char* const* argv, ch::Arena& arena, Options& o) noexcept {
  o.arena = &arena;
  auto** command = arena.make<const char*>(static_cast<std::size_t>(argc) + 1);
  if (command == nullptr) return {"too many arguments for ch-run's memory", {}};
  std::size_t words = 0;
  bool alone = false;
  const auto operand = [&](const char* word) noexcept -> UsageError {
    if (!o.image.empty())
      command[words++] = word;
    else if (word[0] == '\0')
      return {"the image's path is empty", {}};
    else
      o.image = ch::HostPath(word);
    return {};
  };
  const auto go_on = [&](std::size_t row) noexcept {
    if (makes_container.has(row)) o.making = &table[row];
    alone = stops_parsing.has(row);
    return !alone;
  };
  constexpr std::size_t before_arguments = 2;  // image and command
  auto wrong = ch::cli::read(table, handlers, argc, argv, o, operand, go_on, before_arguments);
  if (wrong.problem == ch::cli::ambiguous_option)
    wrong.remedy = name_candidates(wrong.subject, arena);
  if (wrong || alone) return wrong;
  command[words] = nullptr;
  o.command = command;
  o.command_words = words;
  if (o.image.empty()) return {"no image given", {}};
  if (words > 0 && command[0][0] == '\0') return {"the command is empty", {}};
  return check_together(o);
}

}  // namespace ch_run
