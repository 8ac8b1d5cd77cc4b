// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. What tells that a directory is an image, and how it was made: the file
// ch/unpacked.json that ch-tar2dir leaves in it, or what any root has.
// Source: docs/unpack.md.
#pragma once

#include "ch/image/descriptor.hpp"

namespace ch::images {

/// Is this directory an image? It has our mark, or bin, dev and usr as any root has.
[[nodiscard]] inline bool looks_like_image(int directory) {
  struct stat status {};
  if (status_of(directory, "ch", status) && S_ISDIR(status.st_mode) &&
      status_of(directory, "ch/unpacked.json", status))
    return true;
  for (const char* name : {"bin", "dev", "usr"})
    if (!status_of(directory, name, status) || S_ISREG(status.st_mode)) return false;
  return true;
}

/// Was it made with --subids? Then its files are not all the caller's.
[[nodiscard]] inline bool has_several_owners(int directory) {
  const Descriptor mark(::openat(directory, "ch/unpacked.json", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  char text[4096];
  const ssize_t n = mark ? ::read(mark.get(), text, sizeof text) : 0;
  return n > 0 &&
         std::string_view(text, static_cast<std::size_t>(n)).find(R"("owners": "several")") !=
             std::string_view::npos;
}

}  // namespace ch::images
