// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. What an image says about itself, in files that ch-tar2dir leaves below /ch:
// `environment` (NAME=VALUE lines) and `process` (records that end in a NUL:
// "directory=PATH" once, "entrypoint=WORD" and "cmd=WORD" once per word). Paths are resolved inside
// the image, so that a link there can't make us read the host's files.
#pragma once

#include "ch/kernel/in_root.hpp"
#include "ch/text_file.hpp"
#include "ch/types/paths.hpp"

namespace ch {

struct ImageMetadata {
  std::string_view environment{};
  ZString directory{};
  std::string_view process{};
  Error error{};  // with a code: a file exists, but could not be read completely
};

namespace detail {

/// The value of the first record "key=value", NUL-terminated; null if there is none.
/// `process` then begins after it.
[[nodiscard]] inline const char* next_record(std::string_view& process,
                                             std::string_view key) noexcept {
  for (auto end = process.find('\0'); end != std::string_view::npos; end = process.find('\0')) {
    const std::string_view record = head(process, end);
    process.remove_prefix(end + 1);
    if (head(record, key.size()) == key && head(tail(record, key.size()), 1) == "=")
      return record.data() + key.size() + 1;
  }
  return nullptr;  // a record without its NUL is incomplete
}

/// Does the file exist, but could not be read completely for lack of memory, its size, or an
/// I/O error?
[[nodiscard]] constexpr bool is_incomplete(Errno code) noexcept {
  return code == Errno::enomem || code == Errno::eio || code == Errno::efbig;
}

}  // namespace detail

/// Reads both files into `arena`; a file that is missing, unreadable or not regular counts as
/// empty. `image` is the open directory of the image. Six calls at most for an image without links;
/// one for an image without /ch.
template <kernel::Kernel K>
[[nodiscard]] ImageMetadata read_metadata(
    K& k, Fd image, Arena& arena, Descriptors descriptors = Descriptors::close_now) noexcept {
  // Most images have no /ch, and hardly any have a link there: try first without following it.
  constexpr auto flags = kernel::o_path | kernel::o_directory;
  auto directory = kernel::openat(k, image, "ch", flags | kernel::o_nofollow);
  if (directory.error() == Errno::enotdir) directory = kernel::open_in_root(k, image, "/ch", flags);
  if (!directory.ok()) return {};
  ImageMetadata found;
  const auto read = [&](const char* name, const char* known_as) {  // below /ch, follows no link
    const auto text = read_text_file(k, directory.value(), name, arena,
                                     kernel::o_nofollow | kernel::o_nonblock, descriptors);
    if (!text && detail::is_incomplete(text.error().code))
      found.error = {text.error().code, text.error().operation, StepIndex::none, known_as};
    return text.value_or(std::string_view());
  };
  found.environment = read("environment", "/ch/environment");
  found.process = read("process", "/ch/process");
  if (descriptors == Descriptors::close_now) (void)kernel::close(k, directory.value());
  std::string_view rest = found.process;
  if (const char* path = detail::next_record(rest, "directory")) found.directory = path;
  return found;
}

/// The same for the image at a path. A missing image is reported by the plan.
template <kernel::Kernel K>
[[nodiscard]] ImageMetadata read_metadata(
    K& k, HostPath image, Arena& arena, Descriptors descriptors = Descriptors::close_now) noexcept {
  const auto root = kernel::openat(k, Fd::cwd, image.c_str(), kernel::o_path | kernel::o_directory);
  if (!root.ok()) return {};
  const ImageMetadata found = read_metadata(k, root.value(), arena, descriptors);
  if (descriptors == Descriptors::close_now) (void)kernel::close(k, root.value());
  return found;
}

/// The command that the image records: entry point, then cmd. Null if it has none, or the arena is
/// full.
[[nodiscard]] inline const char* const* image_command(const ImageMetadata& metadata,
                                                      Arena& arena) noexcept {
  Sequence<const char*> command;
  for (const char* key : {"entrypoint", "cmd"}) {
    std::string_view rest = metadata.process;
    while (const char* word = detail::next_record(rest, key))
      if (!arena.push_back(command, word)) return nullptr;
  }
  if (command.empty() || !arena.push_back<const char*>(command, nullptr)) return nullptr;
  return command.begin();
}

}  // namespace ch
