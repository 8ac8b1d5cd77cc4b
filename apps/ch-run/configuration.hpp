// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The site's configuration, /etc/charlie/ch-run.conf, and the file that $CH_RUN_CONF
// names: one long option per line, without the dashes, as on the command line
// ("bind=/scratch:/scratch"); blank lines and lines that start with # are skipped. Only options
// that describe the container are allowed; the command line takes precedence.
#pragma once

#include "apps/ch-run/command_line.hpp"
#include "ch/text_file.hpp"

namespace ch_run {

inline constexpr ch::cli::RowSet device_file(table, {"device-file"});
/// If one of these is given, no configuration is read.
inline constexpr ch::cli::RowSet without_configuration(table, {"check", "feature", "help",
                                                               "no-conf", "usage", "version"});

inline constexpr const char* site_configuration = "/etc/charlie/ch-run.conf";

namespace detail {

/// Applies the line as an option, with "--" in front of it.
inline UsageError apply_line(std::string_view line, Options& o, ch::Arena& arena) noexcept {
  const char* const word = arena.join("--", line);
  if (word == nullptr) return {"too long a configuration", line};
  const char* const argv[] = {"", word};
  ch::cli::Parser parser(table, 2, argv);
  const ch::cli::Item item = parser.next();
  if (item.kind == ch::cli::Item::Kind::error) return {item.problem, line};
  if (table[item.index].group == information || device_file.has(item.index))
    return {"this option is not for configuration files", line};
  if (handlers[item.index] == take_bind &&
      std::string_view(item.value).find(':') == std::string_view::npos)
    return {"a bind in a configuration file needs a destination", line};
  o.arena = &arena;
  return {handlers[item.index](o, item.value), line};
}

}  // namespace detail

/// Applies each line of `text`. In an error the subject is the line.
inline UsageError apply_configuration(std::string_view text, Options& o,
                                      ch::Arena& arena) noexcept {
  while (!text.empty()) {
    const auto end = text.find('\n');
    std::string_view line = ch::head(text, end);
    text = ch::tail(text, end == std::string_view::npos ? text.size() : end + 1);
    const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
    while (!line.empty() && blank(line.front())) line.remove_prefix(1);
    while (!line.empty() && blank(line.back())) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    if (const auto problem = detail::apply_line(line, o, arena); problem) return problem;
  }
  return {};
}

/// Does the command line have one of `options` before any "--"? If so, sets `value` to its
/// argument.
inline bool mentions(int argc, const char* const* argv, const ch::cli::RowSet& options,
                     const char** value = nullptr) noexcept {
  ch::cli::Parser parser(table, argc, argv);
  for (auto item = parser.next(); item.kind != ch::cli::Item::Kind::end; item = parser.next()) {
    if (item.kind != ch::cli::Item::Kind::option || !options.has(item.index)) continue;
    if (value != nullptr) *value = item.value;
    return true;
  }
  return false;
}

/// Applies the output of ch-device: a configuration whose variables are not expanded.
inline UsageError apply_devices(std::string_view text, Options& o, ch::Arena& arena) noexcept {
  const std::size_t before = o.environment.size();
  const UsageError problem = apply_configuration(text, o, arena);
  std::size_t i = 0;
  for (EnvironmentOption& option : o.environment) option.literal = option.literal || i++ >= before;
  return problem;
}

}  // namespace ch_run
