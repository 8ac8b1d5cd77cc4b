// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. Which libraries of the host a program or library of the host needs, by its own lists
// and those of what it needs in turn. Nothing is run to find out, as ldd would.
// Source: man 8 ld.so, "$ORIGIN"; man 3 dlopen for the order of the search.
#pragma once

#include <cstdlib>
#include <range/v3/algorithm/contains.hpp>

#include "ch/inject/image_libraries.hpp"

namespace ch::injection {

/// Is `soname` a part of the C library, which only works with the others of the same build?
[[nodiscard]] inline bool is_part_of_libc(std::string_view soname) {
  static constexpr std::string_view exact[] = {
      "libc.so.6",   "libm.so.6",   "libmvec.so.1",          "libpthread.so.0",
      "libdl.so.2",  "librt.so.1",  "libresolv.so.2",        "libutil.so.1",
      "libanl.so.1", "libnsl.so.1", "libthread_db.so.1",     "libBrokenLocale.so.1",
      "ld64.so.1",   "ld64.so.2",   "libc_malloc_debug.so.0"};
  return ranges::contains(exact, soname) || soname.starts_with("ld-linux") ||
         soname.starts_with("libnss_files.so") || soname.starts_with("libnss_dns.so") ||
         soname.starts_with("libnss_compat.so") || soname.starts_with("libnss_hesiod.so") ||
         soname.starts_with("libnss_db.so");
}

/// A library that another file needs.
struct Dependency {
  std::string soname;
  std::string path;          // on the host; empty: the host has none
  bool is_provided = false;  // by what the file will run with, so the host's is not wanted
};

/// Everything that `elf`, the host's file `path`, needs, directly or indirectly, breadth first,
/// except for the C library, which must be the image's. `provided(soname, user)` tells whether
/// `user` will find a library without the host's; what such a library needs in turn is left out.
template <class Provided>
[[nodiscard]] std::vector<Dependency> host_dependencies(const std::string& path, const ElfFile& elf,
                                                        const ImageLibraries& host,
                                                        const Provided& provided) {
  std::vector<Dependency> found;
  const char* variable = std::getenv("LD_LIBRARY_PATH");
  std::vector<std::string> from_variable = io::split(variable != nullptr ? variable : "", ":");
  std::erase_if(from_variable, [](const std::string& part) { return !part.starts_with('/'); });
  std::vector<std::pair<std::string, const ElfFile*>> todo = {{path, &elf}};
  for (std::size_t i = 0; i < todo.size(); ++i) {
    const auto [user_path, user] = todo[i];
    const std::string origin(io::parent_of(user_path));
    auto before = from_variable;
    for (std::string part : user->run_path) {
      for (const std::string_view word : {"${ORIGIN}", "$ORIGIN"})
        if (const auto at = part.find(word); at != std::string::npos)
          part.replace(at, word.size(), origin);
      before.push_back(part);
    }
    for (const std::string& soname : user->needed) {
      if (is_part_of_libc(soname) || ranges::contains(found, soname, &Dependency::soname)) continue;
      const FoundLibrary* library = host.find(soname, *user, before);
      found.push_back(
          {soname, library != nullptr ? library->path : std::string(), provided(soname, *user)});
      if (library != nullptr && !found.back().is_provided)
        todo.emplace_back(library->path, &library->elf);
    }
  }
  return found;
}

}  // namespace ch::injection
