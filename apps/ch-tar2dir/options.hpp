// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The values that a command line gives to the options of option_table.hpp, and how each
// argument is read.
#pragma once

#include <optional>
#include <string>

#include "ch/cli/described.hpp"
#include "ch/image/options.hpp"

namespace ch_tar2dir {

using ch::cli::not_valid;

enum class Task { unpack, list, check, help, usage, version };
enum class Messages { errors_only, usual, detailed, json };

struct Options {
  Task task = Task::unpack;
  bool lists = false, checks = false;  // whether these were asked for
  Messages messages = Messages::usual;
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

inline const char* take_list(Options& o, const char*) noexcept {
  o.lists = true;
  o.task = Task::list;
  return nullptr;
}
inline const char* take_check(Options& o, const char*) noexcept {
  o.checks = true;
  o.task = Task::check;
  return nullptr;
}
inline const char* take_image_name(Options& o, const char* name) {
  o.unpack.image_name = name;
  return o.unpack.image_name.empty() ? not_valid : nullptr;
}
/// OS/ARCH[/VARIANT].
inline const char* take_platform(Options& o, const char* text) {
  const std::string_view all(text);
  const auto first = all.find('/');
  if (first == std::string_view::npos || first == 0) return not_valid;
  const auto rest = all.substr(first + 1);
  const auto second = rest.find('/');
  ch::images::Platform& platform = o.unpack.platform;
  platform.os = all.substr(0, first);
  platform.architecture = rest.substr(0, second);
  platform.variant =
      second == std::string_view::npos ? std::string_view{} : rest.substr(second + 1);
  return platform.architecture.empty() ? not_valid : nullptr;
}
template <auto member>
const char* take_size(Options& o, const char* text) {
  const auto size = parse_size(text);
  if (!size) return not_valid;
  o.unpack.*member = *size;
  return nullptr;
}
/// In the order of ch::images::Containment.
inline constexpr char contain_words[] = "auto always never";

}  // namespace ch_tar2dir
