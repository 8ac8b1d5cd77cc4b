// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The command line of ch-tar2dir, read.
#pragma once

#include <optional>
#include <string>

#include "apps/ch-tar2dir/option_table.hpp"
#include "ch/image/options.hpp"

namespace ch_tar2dir {

enum class Task { unpack, list, check, help, usage, version };
enum class Talk { quiet, usual, verbose, json };

struct Options {
  Task task = Task::unpack;
  bool lists = false, checks = false;  // asked for, whichever task it became
  Talk talk = Talk::usual;
  ch::images::UnpackOptions unpack{};
  std::string archive, destination;
  std::string problem;  // if not empty, the command line is wrong
};

/// "12", "12K" (1024), "12M", "12G", "12T"; none for anything else or too much.
[[nodiscard]] inline std::optional<std::uint64_t> parse_size(std::string_view text) {
  unsigned shift = 0;
  if (!text.empty()) {
    const std::size_t unit = std::string_view("KMGT").find(text.back());
    if (unit != std::string_view::npos) {
      shift = 10 * (static_cast<unsigned>(unit) + 1);
      text.remove_suffix(1);
    }
  }
  // The last value stands for "the free space".
  std::uint64_t value = 0;
  if (!ch::parse_number(text, (ch::images::from_free_space - 1) >> shift, value))
    return std::nullopt;
  return value << shift;
}

[[nodiscard]] inline bool parse_platform(std::string_view text, ch::images::Platform& out) {
  const auto first = text.find('/');
  if (first == std::string_view::npos || first == 0) return false;
  out.os = text.substr(0, first);
  text.remove_prefix(first + 1);
  const auto second = text.find('/');
  out.architecture = text.substr(0, second);
  out.variant = second == std::string_view::npos ? std::string_view{} : text.substr(second + 1);
  return !out.architecture.empty();
}

/// One option into `o`. False: its argument is no good.
[[nodiscard]] inline bool apply(const ch::cli::Item& item, Options& o) {
  using namespace ch::images;
  const std::string_view value = item.value != nullptr ? item.value : "";
  switch (item.id) {
    case opt_check:
      o.checks = true;
      o.task = Task::check;
      return true;
    case opt_list:
      o.lists = true;
      o.task = Task::list;
      return true;
    case opt_help:
      o.task = Task::help;
      return true;
    case opt_usage:
      o.task = Task::usage;
      return true;
    case opt_version:
      o.task = Task::version;
      return true;
    case opt_json:
      o.talk = Talk::json;
      return true;
    case opt_quiet:
      o.talk = Talk::quiet;
      return true;
    case opt_verbose:
      o.talk = Talk::verbose;
      return true;
    case opt_force:
      o.unpack.replace = Replace::anything;
      return true;
    case opt_preserve:
      o.unpack.special_bits = SpecialBits::keep;
      return true;
    case opt_subids:
      o.unpack.owners = Owners::of_archive;
      return true;
    case opt_xattrs:
      o.unpack.xattrs = Xattrs::keep;
      return true;
    case opt_no_sync:
      o.unpack.sync = Sync::none;
      return true;
    case opt_image:
      o.unpack.image_name = value;
      return !value.empty();
    case opt_platform:
      return parse_platform(value, o.unpack.platform);
    case opt_contain:
      o.unpack.containment = value == "always"  ? Containment::required
                             : value == "never" ? Containment::none
                                                : Containment::if_possible;
      return value == "always" || value == "never" || value == "auto";
    case opt_threads: {
      std::uint64_t n = 0;
      if (!ch::parse_number(value, 256, n) || n == 0) return false;
      o.unpack.writers = static_cast<unsigned>(n);
      return true;
    }
    case opt_max_size:
    case opt_max_files: {
      const auto n = parse_size(value);
      if (n) (item.id == opt_max_size ? o.unpack.max_size : o.unpack.max_files) = *n;
      return n.has_value();
    }
    default:
      return false;
  }
}

/// Says so of an argument that apply() did not take.
[[nodiscard]] inline std::string bad_argument(const ch::cli::Item& item) {
  const std::string value = item.value != nullptr ? item.value : "";
  for (const ch::cli::Option& option : table)
    if (option.id == item.id)
      return "--" + std::string(option.name) + ": \"" + value + "\" is not a valid " +
             option.placeholder;
  return "this argument of an option is not valid: " + value;
}

inline Options parse(int argc, char** argv) {
  Options o;
  std::vector<std::string> operands;
  ch::cli::Parser parser(table, argc, argv);
  for (;;) {
    const ch::cli::Item item = parser.next();
    using Kind = ch::cli::Item::Kind;
    if (item.kind == Kind::end) break;
    if (item.kind == Kind::operand) {
      operands.emplace_back(item.value);
    } else if (item.kind == Kind::error) {
      o.problem = std::string(item.problem) + ": " + std::string(item.subject);
      return o;
    } else if (!apply(item, o)) {
      o.problem = bad_argument(item);
      return o;
    }
  }
  if (o.task == Task::help || o.task == Task::usage || o.task == Task::version) return o;
  if (o.lists && o.checks) {
    o.problem = "--list and --check are two different things to do; give one of them";
    return o;
  }
  const std::size_t wanted = o.task == Task::unpack ? 2 : 1;
  if (operands.size() < wanted)
    o.problem = operands.empty() ? "no archive given" : "no directory given to unpack to";
  else if (operands.size() > wanted)
    o.problem = "too many arguments: " + operands[wanted];
  if (!operands.empty()) o.archive = operands[0];
  if (operands.size() > 1) o.destination = operands[1];
  if (o.problem.empty() && o.archive.empty()) o.problem = "the name of the archive is empty";
  return o;
}

}  // namespace ch_tar2dir
