// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. A file of the host that is to be injected, opened and looked at: what it is decides
// where it goes. Nothing is run to find out.
// Source: man 2 open; inject/classify.hpp.
#pragma once

#include "ch/inject/classify.hpp"
#include "ch/inject/sources.hpp"
#include "ch/io/file.hpp"

namespace ch::injection {

struct Examined {
  io::Descriptor file;  // the planned copy is compared with it
  struct stat status;
  std::optional<ElfFile> elf;
  Verdict verdict;
};

namespace detail {

[[noreturn]] inline void refuse(const Request& r, std::string why, std::string remedy,
                                int code = 0) {
  if (!r.origin.empty()) why += "; from " + io::printable(r.origin);
  throw io::Failed(io::printable(r.path), "cannot inject (" + why + ")", std::move(remedy), code);
}

}  // namespace detail

/// Throws io::Failed if the file can't be read, is not a regular one, or is too damaged to read.
[[nodiscard]] inline Examined examine(const Request& request) {
  io::Descriptor file(::open(request.path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!file)
    detail::refuse(request, io::errno_text(errno), "check the path; every listed file must exist",
                   errno);
  const struct stat status = io::status_of(file, request.path);
  if (!S_ISREG(status.st_mode))
    detail::refuse(request,
                   S_ISDIR(status.st_mode) ? "it is a directory" : "it is not a regular file",
                   "name the files in it");
  char first[64] = {};
  const ssize_t n = ::pread(file.get(), first, sizeof first, 0);
  if (n < 0) detail::refuse(request, io::errno_text(errno), "check that it can be read", errno);
  const std::string_view begin(first, static_cast<std::size_t>(n));
  std::optional<ElfFile> elf;
  if (begin.starts_with(ELFMAG)) elf = read_elf(file.get(), request.path);
  if (elf && elf->is_cut)
    detail::refuse(request, "its lists of names and versions are too long",
                   "it is damaged; get it again");
  Verdict verdict = classify(request.path, elf, begin, (status.st_mode & 0111) != 0);
  return {std::move(file), status, std::move(elf), std::move(verdict)};
}

}  // namespace ch::injection
