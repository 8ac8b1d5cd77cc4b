// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. Checks whether injected files will run in this image: every symbol version that they
// need (GLIBC_2.36, GLIBCXX_3.4.30, ...) must be in the library that will provide it, in the image
// or injected, too. Checked before anything is copied, since the loader's own message would only
// come at run time, on a thousand nodes.
// Source: LSB, "Symbol Versioning"; man 8 ld.so.
#pragma once

#include <range/v3/algorithm/contains.hpp>
#include <range/v3/algorithm/sort.hpp>

#include "ch/inject/image_libraries.hpp"

namespace ch::injection {

/// An ELF file on its way into the image.
struct Incoming {
  std::string source;  // on the host
  std::string path;    // in the image
  ElfFile elf;
};

namespace detail {

[[nodiscard]] inline bool is_libc(std::string_view soname) {
  return soname == "libc.so.6" || soname.starts_with("ld-linux");
}

/// The newest version of the same family as `version` that `elf` defines.
[[nodiscard]] inline std::string newest_like(const ElfFile& elf, const std::string& version) {
  const std::string family = version.substr(0, version.find('_') + 1);
  std::string newest;
  for (const std::string& v : elf.defined_versions)
    if (v.starts_with(family) && v.size() > family.size() &&
        std::isdigit(static_cast<unsigned char>(v[family.size()])) != 0 &&
        (newest.empty() || ::strverscmp(newest.c_str(), v.c_str()) < 0))
      newest = v;
  return newest;
}

}  // namespace detail

/// Throws io::Failed, naming file and version, for the first file that can't work. Libraries that
/// are not found anywhere are passed to `missing(Incoming, soname)`: they may be bound into the
/// container at run time.
template <class Missing>
void check_versions(const std::vector<Incoming>& incoming, const ImageLibraries& image,
                    Missing&& missing) {
  std::multimap<std::string_view, const ElfFile*> along;  // by soname, and by file name
  for (const Incoming& i : incoming) {
    along.emplace(i.elf.soname, &i.elf);
    along.emplace(io::base_of(i.path), &i.elf);
  }
  const auto provider = [&](std::string_view soname, const Incoming& user) -> const ElfFile* {
    for (auto [at, end] = along.equal_range(soname); at != end; ++at)
      if (at->second->same_machine(user.elf)) return at->second;
    const FoundLibrary* found =
        image.find(std::string(soname), user.elf, {std::string(io::parent_of(user.path))});
    return found != nullptr ? &found->elf : nullptr;
  };
  for (const Incoming& i : incoming) {
    for (const std::string& soname : i.elf.needed) {
      if (provider(soname, i) != nullptr) continue;
      if (!detail::is_libc(soname)) {
        missing(i, soname);
        continue;
      }
      const std::string kind = image.libc() == Libc::musl
                                   ? "the image has musl, not glibc"
                                   : "the image has no glibc for " + machine_name(i.elf);
      throw io::Failed(io::printable(i.source), kind + ", which this file needs (" + soname + ")",
                       "use an image of a distribution with glibc, or inject programs that "
                       "are linked statically");
    }
    // If several versions are missing, report the newest: it tells which image would do.
    auto needs = i.elf.needed_versions;
    ranges::sort(needs, [](const NeededVersion& a, const NeededVersion& b) {
      return a.file != b.file ? a.file < b.file
                              : ::strverscmp(a.version.c_str(), b.version.c_str()) > 0;
    });
    const ElfFile* elf = nullptr;
    std::string_view file;  // the name of `elf`
    for (const NeededVersion& need : needs) {
      if (need.file != file) elf = provider(file = need.file, i);
      if (elf == nullptr || ranges::contains(elf->defined_versions, need.version)) continue;
      const std::string newest = detail::newest_like(*elf, need.version);
      throw io::Failed(
          io::printable(i.source),
          "the image's " + need.file + " is too old: this file needs " + need.version +
              (newest.empty() ? std::string() : ", and " + newest + " is the newest it has"),
          "use an image of a newer distribution, or a build of the file for an older one");
    }
  }
}

}  // namespace ch::injection
