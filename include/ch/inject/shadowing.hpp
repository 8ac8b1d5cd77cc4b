// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. What happens to the image's own programs when a library from outside replaces one that
// they use. Parts of the C library are never replaced: they only work with the others of exactly
// the same build. Any other library must have every symbol version that the image's programs need.
// Source: LSB, "Symbol Versioning"; man 7 libc; man 8 ld.so.
#pragma once

#include <array>
#include <range/v3/algorithm/any_of.hpp>
#include <range/v3/algorithm/contains.hpp>
#include <set>

#include "ch/inject/dependencies.hpp"
#include "ch/inject/elf_integrity.hpp"
#include "ch/inject/glibc_check.hpp"
#include "ch/io/in_parallel.hpp"

namespace ch::injection {

namespace detail {

inline constexpr std::size_t max_files_scanned = 50000;  // of an image, at most

/// Files below `directory` that could be programs or libraries, links not followed.
inline void programs_below(const ImageTree& tree, const std::string& directory, int depth,
                           std::set<std::string>& found) {
  const io::Descriptor fd = tree.try_open_directory(directory);
  if (!fd) return;
  for (const std::string& name : io::names_in(fd.get(), directory)) {
    struct stat status {};
    if (found.size() >= max_files_scanned || !io::status_of(fd.get(), name, status)) continue;
    if (S_ISDIR(status.st_mode) && depth > 0)
      programs_below(tree, directory + '/' + name, depth - 1, found);
    if (S_ISREG(status.st_mode) &&
        ((status.st_mode & 0111) != 0 || name.find(".so") != std::string::npos))
      found.insert(directory + '/' + name);
  }
}

/// The library of the image that a file of this name in `directory` would replace, or hide from the
/// loader. Null if there is none.
[[nodiscard]] inline const FoundLibrary* shadowed(const ImageLibraries& image,
                                                  const std::string& directory,
                                                  const std::string& name,
                                                  const std::optional<ElfFile>& like) {
  const FoundLibrary* found = image.at(directory + '/' + name);
  if (found == nullptr && ranges::contains(image.directories(), directory)) {
    if (like) found = image.find(name, *like);
    if (found == nullptr) found = image.find(name);
    // A library for another architecture that the image also has programs for can coexist.
    if (found != nullptr && like && !found->elf.same_machine(*like) &&
        image.find("libc.so.6", *like) != nullptr)
      return nullptr;
  }
  return found != nullptr && found->elf.type == ElfFile::Type::library ? found : nullptr;
}

/// Why a file can't replace a library, and what to do. Empty: it can.
struct Unfit {
  std::string why, remedy;
};

/// Why a file, with the given integrity `whole`, can't replace the library `own`. `name` is what
/// programs ask for, which need not be the soname of `own`.
[[nodiscard]] inline Unfit why_unfit(const FoundLibrary& own, const std::string& name,
                                     const std::optional<ElfFile>& elf,
                                     const IntegrityResult& whole) {
  constexpr const char* anew = "get the file again, and compare its size with that of the original";
  if (!elf) return {"it is not an ELF file", anew};
  if (!elf->same_machine(own.elf))
    return {"it is for " + machine_name(*elf) + ", and that one for " + machine_name(own.elf),
            "use a library or an image for the same machine"};
  if (!whole.problem.empty()) return {whole.problem, anew};
  if (!own.elf.soname.empty() && whole.soname != own.elf.soname && whole.soname != name)
    return {(whole.soname.empty() ? "it has no soname"
                                  : "its soname is " + io::printable(whole.soname)) +
                ", and that of the image's " + io::printable(own.elf.soname),
            "inject a library of that soname"};
  return {};
}

/// An incoming library that the loader will find instead of the image's.
struct Shadow {
  const Incoming* incoming;
  std::string soname;
  std::vector<std::string> lost;  // versions that the image's library has and this one lacks
};

}  // namespace detail

/// Throws io::Failed if the file open at `file`, injected into `directory`, would replace a library
/// of the image, by its name or by the link for its soname, but could not be loaded in its place:
/// that would break every program that needs it. Libraries in the manifest `earlier` are from an
/// earlier injection and may be replaced.
template <class Record>
void check_can_replace(const io::Descriptor& file, const std::string& source,
                       const std::optional<ElfFile>& elf, const std::string& directory,
                       const ImageLibraries& image, const Record& earlier) {
  const IntegrityResult whole = elf ? check_integrity(file, source) : IntegrityResult{};
  std::set<std::string> names = {std::string(io::base_of(source))};
  for (const std::string& soname : {elf ? elf->soname : std::string(), whole.soname})
    if (io::is_plain_name(soname)) names.insert(soname);
  for (const std::string& name : names) {
    const FoundLibrary* own = detail::shadowed(image, directory, name, elf);
    if (own == nullptr || earlier.find(own->path) != nullptr) continue;
    const detail::Unfit unfit = detail::why_unfit(*own, name, elf, whole);
    if (!unfit.why.empty())
      throw io::Failed(io::printable(source),
                       "cannot inject (it would take the place of the image's " +
                           io::printable(own->path) + ", but " + unfit.why + ')',
                       unfit.remedy + "; or put it where no loader searches")
          .with_kind(Remedy::choose_place);
  }
}

namespace detail {

/// The incoming libraries that lack versions of the image's library that they hide.
template <class Searched>
[[nodiscard]] std::vector<Shadow> find_shadows(const std::vector<Incoming>& incoming,
                                               const ImageLibraries& image, Searched&& searched) {
  std::vector<Shadow> shadows;
  for (const Incoming& i : incoming) {
    if (i.elf.type != ElfFile::Type::library || !searched(i)) continue;
    const std::string soname =
        i.elf.soname.empty() ? std::string(io::base_of(i.path)) : i.elf.soname;
    const FoundLibrary* own = image.find(soname, i.elf);
    if (own == nullptr) continue;
    auto lost = own->elf.defined_versions;
    std::erase_if(lost, [&i](const std::string& version) {
      return ranges::contains(i.elf.defined_versions, version);
    });
    if (!lost.empty()) shadows.push_back({&i, soname, std::move(lost)});
  }
  return shadows;
}

/// Paths of the image's programs and libraries, as far as they are checked.
[[nodiscard]] inline std::vector<std::string> programs_of(const ImageTree& tree,
                                                          const ImageLibraries& image,
                                                          std::vector<std::string>& warnings) {
  std::set<std::string> found;
  std::set<std::string> directories(image.directories().begin(), image.directories().end());
  for (const char* path : {"/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"})
    if (tree.has_directory(path)) directories.insert(tree.locate(path));
  for (const std::string& directory : directories) programs_below(tree, directory, 4, found);
  if (found.size() >= max_files_scanned)
    warnings.push_back("only " + std::to_string(max_files_scanned) +
                       " files of the image were checked for whether they need what is replaced");
  return {found.begin(), found.end()};
}

/// A version that a program needs, and the incoming library that would hide it; null: none.
struct LostVersion {
  std::string version;
  const Shadow* shadow = nullptr;
};

/// The first version that the program or library at `path` would lose.
template <class Replaced>
[[nodiscard]] LostVersion lost_version(const ImageTree& tree, const std::string& path,
                                       const std::vector<Shadow>& shadows, Replaced&& replaced) {
  if (replaced(path)) return {};
  const io::Descriptor fd = tree.try_open_file(path);
  const auto user = fd ? read_elf(fd.get(), path) : std::nullopt;
  if (!user) return {};
  for (const Shadow& shadow : shadows) {
    if (!user->same_machine(shadow.incoming->elf)) continue;
    const bool has_another = ranges::any_of(user->run_path, [&](std::string directory) {
      for (const std::string_view word : {"${ORIGIN}", "$ORIGIN"})
        if (const auto at = directory.find(word); at != std::string::npos)
          directory.replace(at, word.size(), io::parent_of(path));
      const std::string other = directory + '/' + shadow.soname;
      return other.starts_with('/') && !replaced(other) && tree.try_open_file(other);
    });
    if (has_another) continue;
    for (const NeededVersion& need : user->needed_versions)
      if (need.file == shadow.soname && ranges::contains(shadow.lost, need.version))
        return {need.version, &shadow};
  }
  return {};
}

}  // namespace detail

/// Throws io::Failed for the first file of the image that would no longer run. `searched` tells
/// whether the loader will find an incoming file by its soname; `replaced`, whether a path of the
/// image is itself about to be replaced. Reads the image's files only if a library would lose a
/// version.
template <class Searched, class Replaced>
void check_shadowed(const ImageTree& tree, const std::vector<Incoming>& incoming,
                    const ImageLibraries& image, Searched&& searched, Replaced&& replaced,
                    std::vector<std::string>& warnings) {
  const std::vector<detail::Shadow> shadows = detail::find_shadows(incoming, image, searched);
  if (shadows.empty()) return;
  const std::vector<std::string> paths = detail::programs_of(tree, image, warnings);
  std::vector<detail::LostVersion> lost(paths.size());
  io::in_parallel(paths.size(), [&](std::size_t k) {
    lost[k] = detail::lost_version(tree, paths[k], shadows, replaced);
  });
  for (std::size_t k = 0; k < paths.size(); ++k)
    if (lost[k].shadow != nullptr)
      throw io::Failed(io::printable(lost[k].shadow->incoming->source),
                       "this would take the place of the image's " +
                           io::printable(lost[k].shadow->soname) + ", but " +
                           io::printable(paths[k]) + " of the image needs " +
                           io::printable(lost[k].version) + " of that, which this file lacks",
                       "inject a build that has it; or put this one elsewhere, and set "
                       "LD_LIBRARY_PATH for the programs that are to use it")
          .with_kind(Remedy::choose_place);
}

}  // namespace ch::injection
