// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. How to tell that a directory is an image, and how it was made: by the file
// ch/unpacked.json that ch-tar2dir leaves in it, or by what every root has.
// Source: docs/unpack.md.
#pragma once

#include "ch/image/descriptor.hpp"

namespace ch::images {

/// Is this directory an image? It has our mark, or bin, dev and usr as every root has.
[[nodiscard]] inline bool looks_like_image(int directory) {
  struct stat status {};
  if (io::status_of(directory, "ch", status) && S_ISDIR(status.st_mode) &&
      io::status_of(directory, "ch/unpacked.json", status))
    return true;
  for (const char* name : {"bin", "dev", "usr"})
    if (!io::status_of(directory, name, status) || S_ISREG(status.st_mode)) return false;
  return true;
}

/// Was it made with the owners of the archive? Then not all of its files belong to the caller.
/// Throws what man 2 open and read say of a mark that is there.
[[nodiscard]] inline bool has_several_owners(int directory) {
  const io::Descriptor mark(
      ::openat(directory, "ch/unpacked.json", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!mark && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENXIO))
    return false;  // something other than a file is ignored
  if (!mark) io::throw_errno("open", "ch/unpacked.json");
  char text[4096];
  const ssize_t n = ::read(mark.get(), text, sizeof text);
  if (n < 0 && errno != EISDIR && errno != EAGAIN) io::throw_errno("read", "ch/unpacked.json");
  return n > 0 &&
         std::string_view(text, static_cast<std::size_t>(n)).find(R"("owners": "several")") !=
             std::string_view::npos;
}

}  // namespace ch::images
