// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. Where an image keeps its shared libraries, and which it has: from its ld.so.cache and
// ld.so.conf, which are parsed here rather than by a program of the image. Also works for the host
// as the tree "/". Source: man 8 ldconfig, ld.so; musl's manual, "Environment and file paths".
#pragma once

#include <fnmatch.h>

#include <algorithm>
#include <map>
#include <range/v3/algorithm/any_of.hpp>
#include <range/v3/algorithm/contains.hpp>
#include <range/v3/algorithm/sort.hpp>

#include "ch/inject/elf_file.hpp"
#include "ch/inject/image_tree.hpp"
#include "ch/inject/loader_cache.hpp"
#include "ch/io/directory.hpp"

namespace ch::injection {

/// Written by us: the directories of the host that libfabric's libraries come from.
inline constexpr const char* fabric_configuration = "/etc/ld.so.conf.d/ch-ofi.conf";

enum class Libc { none, glibc, musl };

struct FoundLibrary {
  std::string path;
  ElfFile elf;
};

/// The non-empty lines of `text`, without comments and surrounding blanks.
[[nodiscard]] inline std::vector<std::string> configuration_lines(std::string_view text) {
  std::vector<std::string> lines;
  for (const std::string& line : io::split(text, "\n"))
    if (const auto words = io::trimmed(std::string_view(line).substr(0, line.find('#')));
        !words.empty())
      lines.emplace_back(words);
  return lines;
}

class ImageLibraries {
 public:
  explicit ImageLibraries(const ImageTree& tree) : tree_(tree) {
    read_musl();
    if (libc_ == Libc::none) {
      read_configuration("/etc/ld.so.conf", 0);
      // Directories added by an earlier injection come last: they must not change where this one
      // puts its libraries.
      read_configuration(fabric_configuration, 0);
      for (const char* system : {"/lib", "/lib64", "/usr/lib", "/usr/lib64"}) add(system);
    }
    if (const auto cache = tree_.read("/etc/ld.so.cache")) cache_ = parse_loader_cache(*cache);
    if (libc_ == Libc::none && ranges::any_of(directories_, [this](const std::string& directory) {
          return static_cast<bool>(tree_.try_open_file(directory + "/libc.so.6"));
        }))
      libc_ = Libc::glibc;
  }

  [[nodiscard]] Libc libc() const noexcept { return libc_; }
  /// The existing directories that are searched, each once and with links resolved, in the order in
  /// which ldconfig lists them.
  [[nodiscard]] const std::vector<std::string>& directories() const noexcept {
    return directories_;
  }
  [[nodiscard]] const std::vector<CachedLibrary>& cache() const noexcept { return cache_; }

  /// Where libraries are injected. Throws if the image has no directory for them.
  [[nodiscard]] const std::string& first_directory() const {
    if (directories_.empty())
      throw io::Failed(io::printable(tree_.path()),
                       "the image has no directory for shared libraries", "say where they go")
          .with_kind(Remedy::choose_place);
    return directories_.front();
  }

  /// The library that a loader would use for `soname`, looking in `before` first, for the same
  /// machine as `like`. Null if there is none.
  [[nodiscard]] const FoundLibrary* find(const std::string& soname, const ElfFile& like,
                                         const std::vector<std::string>& before = {}) const {
    const auto fits = [&like](const FoundLibrary& l) { return l.elf.same_machine(like); };
    for (const std::string& directory : before)
      if (const FoundLibrary* found = at(directory + '/' + soname); found && fits(*found))
        return found;
    return first_of(soname, fits);
  }
  /// The same for any machine.
  [[nodiscard]] const FoundLibrary* find(const std::string& soname) const {
    return first_of(soname, [](const FoundLibrary&) { return true; });
  }
  /// The ELF file at `path` in the image, or none.
  [[nodiscard]] const FoundLibrary* at(const std::string& path) const {
    auto known = seen_.find(path);
    if (known == seen_.end()) {
      std::optional<FoundLibrary> found;
      if (const io::Descriptor fd = tree_.try_open_file(path))
        if (auto elf = read_elf(fd.get(), path)) found = FoundLibrary{path, std::move(*elf)};
      known = seen_.emplace(path, std::move(found)).first;
    }
    return known->second ? &*known->second : nullptr;
  }

 private:
  void add(const std::string& directory) {
    if (directory.empty() || directory[0] != '/' || !tree_.has_directory(directory)) return;
    std::string place = tree_.locate(directory);
    if (!ranges::contains(directories_, place)) directories_.push_back(std::move(place));
  }

  /// The names in `directory` that match `pattern`, sorted as glob(3) does.
  [[nodiscard]] std::vector<std::string> matching(const std::string& directory,
                                                  const std::string& pattern) const {
    const io::Descriptor fd = tree_.try_open_directory(directory);
    if (!fd) return {};
    std::vector<std::string> names = io::names_in(fd.get(), directory);
    std::erase_if(names, [&pattern](const std::string& name) {
      return ::fnmatch(pattern.c_str(), name.c_str(), FNM_PERIOD) != 0;
    });
    ranges::sort(names);
    return names;
  }

  void read_configuration(const std::string& path, int depth) {
    const auto text = tree_.read(path);
    if (!text || depth > 8) return;
    for (const std::string& line : configuration_lines(*text)) {
      if (!line.starts_with("include ") && !line.starts_with("include\t")) {
        add(line.substr(0, line.find('=')));  // ignores "=libc5" and the like, which are obsolete
        continue;
      }
      for (const std::string& word : configuration_lines(line.substr(8))) {
        const std::string pattern =
            word[0] == '/' ? word : std::string(io::parent_of(path)) + '/' + word;
        const std::string directory(io::parent_of(pattern));
        for (const std::string& name : matching(directory, std::string(io::base_of(pattern))))
          if (!std::string_view(fabric_configuration).ends_with('/' + name))
            read_configuration(directory + '/' + name, depth + 1);
      }
    }
  }

  void read_musl() {
    const auto loaders = matching("/lib", "ld-musl-*.so.1");
    if (loaders.empty()) return;
    libc_ = Libc::musl;
    const std::string machine = loaders.front().substr(0, loaders.front().rfind(".so.1"));
    const auto path = tree_.read("/etc/" + machine + ".path");
    std::string list = path ? *path : "/lib:/usr/local/lib:/usr/lib";
    std::replace(list.begin(), list.end(), ':', '\n');
    for (const std::string& directory : configuration_lines(list)) add(directory);
  }

  template <class Fits>
  [[nodiscard]] const FoundLibrary* first_of(const std::string& soname, const Fits& fits) const {
    for (const CachedLibrary& known : cache_)
      if (known.soname == soname)
        if (const FoundLibrary* found = at(known.path); found && fits(*found)) return found;
    for (const std::string& directory : directories_)
      if (const FoundLibrary* found = at(directory + '/' + soname); found && fits(*found))
        return found;
    return nullptr;
  }

  const ImageTree& tree_;
  Libc libc_ = Libc::none;
  std::vector<std::string> directories_;
  std::vector<CachedLibrary> cache_;
  mutable std::map<std::string, std::optional<FoundLibrary>> seen_;
};

}  // namespace ch::injection
