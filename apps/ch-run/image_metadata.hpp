// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. What an image says about itself, in files that ch-tar2dir leaves below /ch:
// `environment` (NAME=VALUE lines) and `process` (records that end in a NUL:
// "directory=PATH" once, "entrypoint=WORD" and "cmd=WORD" once per word). They are looked
// up in the image, so that a link there can't make us read the host's files.
#pragma once

#include "apps/ch-run/read_file.hpp"
#include "ch/kernel/in_root.hpp"
#include "ch/types/paths.hpp"

namespace ch_run {

struct ImageMetadata {
  std::string_view environment{};
  ch::ZString directory{};
  std::string_view process{};
};

/// Calls `use(value)` for each record "key=value"; values are NUL-terminated.
template <class Use>
void each_record(std::string_view process, std::string_view key, Use use) noexcept {
  while (!process.empty()) {
    const auto end = process.find('\0');
    if (end == std::string_view::npos) return;  // cut short: not a whole record
    const std::string_view record = ch::head(process, end);
    process.remove_prefix(end + 1);
    if (ch::head(record, key.size()) == key && ch::head(ch::tail(record, key.size()), 1) == "=")
      use(record.data() + key.size() + 1);
  }
}

/// Reads both; what is missing or unreadable is empty. That the image itself is not there
/// is for the plan to say.
template <ch::kernel::Kernel K>
ImageMetadata read_metadata(K& k, ch::HostPath image, ch::Arena& arena) noexcept {
  using namespace ch;
  // Most images have no /ch, and next to none a link there: one look without following it.
  constexpr auto flags = kernel::o_path | kernel::o_directory;
  const char* const inside = arena.join(image.text, "/ch");
  if (inside == nullptr) return {};
  auto directory = kernel::openat(k, Fd::cwd, inside, flags | kernel::o_nofollow);
  if (directory.error() == Errno::enotdir) {
    const auto root = kernel::openat(k, Fd::cwd, image.c_str(), flags);
    if (root.ok()) directory = kernel::open_in_root(k, root.value(), "/ch", flags);
  }
  if (!directory.ok()) return {};
  const auto read = [&](const char* name) {  // below /ch, no link is followed at all
    return read_file(k, directory.value(), name, arena, kernel::o_nofollow)
        .value_or(std::string_view());
  };
  ImageMetadata found{read("environment"), {}, read("process")};
  each_record(found.process, "directory", [&](const char* path) { found.directory = path; });
  return found;
}

/// The command that the image records: entry point, then cmd. Null if it has none.
inline const char* const* image_command(const ImageMetadata& metadata,
                                        ch::Arena& arena) noexcept {
  std::size_t words = 0;
  for (const char* key : {"entrypoint", "cmd"})
    each_record(metadata.process, key, [&](const char*) { ++words; });
  if (words == 0) return nullptr;
  auto** command = arena.make<const char*>(words + 1);
  if (command == nullptr) return nullptr;
  std::size_t n = 0;
  for (const char* key : {"entrypoint", "cmd"})
    each_record(metadata.process, key, [&](const char* word) { command[n++] = word; });
  return command;
}

}  // namespace ch_run
