// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. Determines the kind of a file, which decides where it goes. The content comes first
// (ELF header, soname, exported symbols, a #! line); only if that says nothing does the path
// decide, by the rules of Charliecloud's ch-fromhost.
// Source: ch-fromhost's manual page; man 7 fi_provider, "Loadable providers".
#pragma once

#include "ch/inject/elf_file.hpp"

namespace ch::injection {

enum class Kind {
  other,            // no destination of its own
  executable,       // to /usr/bin
  library,          // to the first directory that the image's loader searches
  fabric,           // a libfabric.so: replaces the image's
  fabric_provider,  // a loadable provider: beside the image's libfabric.so
};

[[nodiscard]] constexpr const char* name_of(Kind kind) noexcept {
  switch (kind) {
    case Kind::executable:
      return "executable";
    case Kind::library:
      return "shared library";
    case Kind::fabric:
      return "libfabric";
    case Kind::fabric_provider:
      return "libfabric provider";
    default:
      return "file";
  }
}

/// How a file was classified, by which rule, and how by its path alone.
struct Verdict {
  Kind kind = Kind::other;
  std::string rule;  // "it is an ELF shared object with soname libfoo.so.1", "its path ..."
  Kind by_path = Kind::other;
  std::string path_rule;
  [[nodiscard]] bool rules_differ() const noexcept { return kind != by_path; }
};

namespace detail {

[[nodiscard]] inline Kind kind_by_path(std::string_view path, std::string& rule) {
  const auto contains = [path](std::string_view part) {
    return path.find(part) != std::string_view::npos;
  };
  const auto name = path.substr(path.rfind('/') + 1);
  if (name.ends_with("-fi.so")) {
    rule = "its name ends in -fi.so";
    return Kind::fabric_provider;
  }
  if (name.starts_with("libfabric.so")) {
    rule = "its name is libfabric.so";
    return Kind::fabric;
  }
  if (contains("/bin") || contains("/sbin")) {
    rule = "its path contains /bin or /sbin";
    return Kind::executable;
  }
  if (contains("/lib") || contains(".so")) {
    rule = "its path contains /lib or .so";
    return Kind::library;
  }
  rule = "its path says nothing";
  return Kind::other;
}

}  // namespace detail

/// Classifies the file named `path` (as the user gave it, links and all), which starts
/// with `first_bytes` and is `elf` if it is an ELF file. Pure.
[[nodiscard]] inline Verdict classify(std::string_view path, const std::optional<ElfFile>& elf,
                                      std::string_view first_bytes, bool may_execute) {
  Verdict v;
  v.by_path = detail::kind_by_path(path, v.path_rule);
  const auto decide = [&v](Kind kind, std::string rule) {
    v.kind = kind;
    v.rule = std::move(rule);
    return v;
  };
  if (elf && elf->type == ElfFile::Type::library) {
    if (elf->soname.starts_with("libfabric.so"))
      return decide(Kind::fabric, "it is an ELF shared object with soname " + elf->soname);
    if (elf->is_fabric_provider)
      return decide(Kind::fabric_provider, "it is an ELF shared object that defines fi_prov_ini");
    return decide(Kind::library, elf->soname.empty()
                                     ? "it is an ELF shared object"
                                     : "it is an ELF shared object with soname " + elf->soname);
  }
  if (elf && elf->type == ElfFile::Type::executable)
    return decide(Kind::executable, "it is an ELF program");
  if (!elf && first_bytes.starts_with("#!") && may_execute)
    return decide(Kind::executable, "it is a script that starts with #!");
  return decide(v.by_path, v.path_rule);
}

}  // namespace ch::injection
