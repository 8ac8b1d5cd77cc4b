// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. What an ELF file says about itself: program or library, for which machine,
// its soname, what it needs and in which versions. Read with libelf; nothing is executed (ldd would
// run the file's own loader, and files may be untrusted).
// Source: man 5 elf; the generic ABI, "Dynamic Linking"; LSB, "Symbol Versioning".
#pragma once

#include <gelf.h>
#include <libelf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ch/io/failed.hpp"

namespace ch::injection {

/// "This file needs `version` of `file`", e.g. GLIBC_2.36 of libc.so.6.
struct NeededVersion {
  std::string file, version;
  friend bool operator==(const NeededVersion&, const NeededVersion&) = default;
};

struct ElfFile {
  enum class Type { executable, library, other };
  Type type = Type::other;
  unsigned machine = 0;  // EM_X86_64, ...
  int bits = 0;          // 32 or 64
  bool has_interpreter = false;
  std::string soname;  // empty: none
  std::vector<std::string> needed;
  std::vector<std::string> run_path;  // RUNPATH, else RPATH; in pieces, not expanded
  std::vector<NeededVersion> needed_versions;
  std::vector<std::string> defined_versions;
  bool is_fabric_provider = false;  // defines fi_prov_ini, which libfabric calls
  bool is_cut = false;              // its lists exceed max_elf_lists; the rest was not read

  [[nodiscard]] bool same_machine(const ElfFile& other) const noexcept {
    return machine == other.machine && bits == other.bits;
  }
};

/// The limit on the lists of one file, in entries and bytes of names together. In a damaged file
/// they may overlap, so that even a small file has huge ones; those of libc.so.6 have 3 KB.
inline constexpr std::size_t max_elf_lists = std::size_t{1} << 20;

/// "x86-64", "aarch64", ... for messages.
[[nodiscard]] inline std::string machine_name(const ElfFile& elf) {
  const std::string bits = " (" + std::to_string(elf.bits) + " bits)";
  switch (elf.machine) {
    case EM_X86_64:
      return "x86-64" + bits;
    case EM_386:
      return "x86" + bits;
    case EM_AARCH64:
      return "aarch64" + bits;
    case EM_ARM:
      return "arm" + bits;
    case EM_PPC64:
      return "ppc64" + bits;
    case EM_RISCV:
      return "riscv" + bits;
    default:
      return "machine " + std::to_string(elf.machine) + bits;
  }
}

namespace detail {

class ElfReader {
 public:
  ElfReader(int fd, std::string_view path) : path_(path) {
    errno = 0;
    elf_ = ::elf_begin(fd, ELF_C_READ, nullptr);
    check(elf_);
  }
  ~ElfReader() { ::elf_end(elf_); }
  ElfReader(const ElfReader&) = delete;
  ElfReader& operator=(const ElfReader&) = delete;

  [[nodiscard]] std::optional<ElfFile> read() {
    GElf_Ehdr header;
    if (elf_ == nullptr || ::elf_kind(elf_) != ELF_K_ELF ||
        check(::gelf_getehdr(elf_, &header)) == nullptr)
      return std::nullopt;
    out_.machine = header.e_machine;
    out_.bits = header.e_ident[EI_CLASS] == ELFCLASS64 ? 64 : 32;
    std::size_t segments = 0;
    if (::elf_getphdrnum(elf_, &segments) != 0) check<void>(nullptr);
    std::vector<GElf_Phdr> loaded;
    std::optional<GElf_Phdr> dynamic_segment;
    for (std::size_t i = 0; i < segments; ++i) {
      GElf_Phdr segment;
      if (check(::gelf_getphdr(elf_, static_cast<int>(i), &segment)) == nullptr) continue;
      if (segment.p_type == PT_INTERP) out_.has_interpreter = true;
      if (segment.p_type == PT_LOAD) loaded.push_back(segment);
      if (segment.p_type == PT_DYNAMIC) dynamic_segment = segment;
    }
    if (header.e_shoff == 0) {
      if (dynamic_segment) by_segments(*dynamic_segment, loaded);
    } else {
      by_sections();
    }
    // A position-independent program is ET_DYN, too, and libc.so.6 can be executed: DF_1_PIE
    // decides, then the soname, then whether there is an interpreter.
    if (header.e_type == ET_EXEC ||
        (header.e_type == ET_DYN && (pie_ || (out_.soname.empty() && out_.has_interpreter))))
      out_.type = ElfFile::Type::executable;
    else if (header.e_type == ET_DYN)
      out_.type = ElfFile::Type::library;
    return out_;
  }

 private:
  static constexpr std::size_t longest_name = 4096;

  void by_sections() {
    // A valid file has one section of each of these kinds; one that lists the same bytes a thousand
    // times is damaged or malicious.
    std::vector<GElf_Word> seen;
    for (Elf_Scn* s = nullptr; (s = check(::elf_nextscn(elf_, s))) != nullptr;) {
      GElf_Shdr section;
      if (check(::gelf_getshdr(s, &section)) == nullptr) continue;
      if (section.sh_type != SHT_DYNAMIC && section.sh_type != SHT_GNU_verneed &&
          section.sh_type != SHT_GNU_verdef && section.sh_type != SHT_DYNSYM)
        continue;
      if (std::find(seen.begin(), seen.end(), section.sh_type) != seen.end()) continue;
      seen.push_back(section.sh_type);
      Elf_Data* const data = data_of(s);
      const Elf_Data* const names = data_of(::elf_getscn(elf_, section.sh_link));
      if (section.sh_type == SHT_DYNAMIC) dynamic(data, names);
      if (section.sh_type == SHT_GNU_verneed) versions_needed(data, names, section.sh_info);
      if (section.sh_type == SHT_GNU_verdef) versions_defined(data, names, section.sh_info);
      if (section.sh_type == SHT_DYNSYM) symbols(data, names);
    }
  }

  /// The same from the segments that a loader uses, for a file whose section table was stripped.
  void by_segments(const GElf_Phdr& segment, const std::vector<GElf_Phdr>& loaded) {
    // The data at `address`, to the end of its segment: the tables state a number of entries, not a
    // size.
    const auto at = [&](std::uint64_t address, std::uint64_t most, Elf_Type type) -> Elf_Data* {
      for (const GElf_Phdr& s : loaded)
        if (address >= s.p_vaddr && address - s.p_vaddr < s.p_filesz)
          return check(::elf_getdata_rawchunk(
              elf_, static_cast<std::int64_t>(s.p_offset + (address - s.p_vaddr)),
              std::min(most, s.p_filesz - (address - s.p_vaddr)), type));
      return nullptr;
    };
    constexpr std::uint64_t all = ~std::uint64_t{0};
    Elf_Data* const entries = check(::elf_getdata_rawchunk(
        elf_, static_cast<std::int64_t>(segment.p_offset), segment.p_filesz, ELF_T_DYN));
    std::map<std::int64_t, std::uint64_t> values;
    GElf_Dyn entry;
    for (int i = 0; entries != nullptr && ::gelf_getdyn(entries, i, &entry) != nullptr &&
                    entry.d_tag != DT_NULL && spend(1);
         ++i)
      values.emplace(entry.d_tag, entry.d_un.d_val);
    const Elf_Data* const names = at(values[DT_STRTAB], values[DT_STRSZ], ELF_T_BYTE);
    dynamic(entries, names);
    if (values.contains(DT_VERNEED))
      versions_needed(at(values[DT_VERNEED], all, ELF_T_VNEED), names, values[DT_VERNEEDNUM]);
    if (values.contains(DT_VERDEF))
      versions_defined(at(values[DT_VERDEF], all, ELF_T_VDEF), names, values[DT_VERDEFNUM]);
    symbols(at(values[DT_SYMTAB], all, ELF_T_SYM), names);
  }

  /// Returns `found`, a result of libelf. libelf returns null both for read errors and for damage;
  /// only errno tells them apart. EINVAL means damage: an impossible offset.
  template <class T>
  T* check(T* found) const {
    if (found == nullptr && errno != 0 && errno != EINVAL) io::throw_errno("read", path_);
    return found;
  }
  [[nodiscard]] Elf_Data* data_of(Elf_Scn* s) const {
    return s == nullptr ? nullptr : check(::elf_getdata(s, nullptr));
  }
  /// Subtracts `amount` from what may still be read; false when that is used up.
  bool spend(std::size_t amount) {
    if (amount > left_) out_.is_cut = true;
    left_ -= std::min(amount, left_);
    return !out_.is_cut;
  }

  /// The name at `offset`; empty where there is none. libelf's elf_strptr would scan the whole
  /// section for each name if the section does not end in NUL.
  [[nodiscard]] std::string text(const Elf_Data* data, std::size_t offset) {
    if (data == nullptr || data->d_buf == nullptr || offset >= data->d_size) return {};
    const char* start = static_cast<const char*>(data->d_buf) + offset;
    const std::size_t size = std::min(data->d_size - offset, longest_name);
    const std::size_t length = ::strnlen(start, size);
    return spend(length) && length < size ? std::string(start, length) : std::string();
  }
  static std::vector<std::string> pieces(const std::string& list) {
    std::vector<std::string> found;
    for (std::size_t from = 0; from <= list.size();) {
      const std::size_t to = std::min(list.find(':', from), list.size());
      if (to > from) found.push_back(list.substr(from, to - from));
      from = to + 1;
    }
    return found;
  }
  void dynamic(Elf_Data* data, const Elf_Data* names) {
    bool new_style = false;
    GElf_Dyn entry;
    for (int i = 0; data != nullptr && ::gelf_getdyn(data, i, &entry) != nullptr && spend(1); ++i) {
      const auto value = [&] { return text(names, entry.d_un.d_val); };
      if (entry.d_tag == DT_NULL) break;
      if (entry.d_tag == DT_NEEDED) out_.needed.push_back(value());
      if (entry.d_tag == DT_SONAME) out_.soname = value();
      if (entry.d_tag == DT_FLAGS_1) pie_ = (entry.d_un.d_val & DF_1_PIE) != 0;
      if (entry.d_tag == DT_RUNPATH || (entry.d_tag == DT_RPATH && !new_style)) {
        out_.run_path = pieces(value());
        new_style = new_style || entry.d_tag == DT_RUNPATH;
      }
    }
  }
  void versions_needed(Elf_Data* data, const Elf_Data* names, std::size_t count) {
    std::size_t offset = 0;
    for (std::size_t i = 0; data != nullptr && i < count && spend(1); ++i) {
      GElf_Verneed need;
      if (::gelf_getverneed(data, static_cast<int>(offset), &need) == nullptr) return;
      const std::string file = text(names, need.vn_file);
      std::size_t at = offset + need.vn_aux;
      for (unsigned j = 0; j < need.vn_cnt && spend(1 + file.size()); ++j) {
        GElf_Vernaux version;
        if (::gelf_getvernaux(data, static_cast<int>(at), &version) == nullptr) break;
        if ((version.vna_flags & VER_FLG_WEAK) == 0)
          out_.needed_versions.push_back({file, text(names, version.vna_name)});
        if (version.vna_next == 0) break;
        at += version.vna_next;
      }
      if (need.vn_next == 0) return;
      offset += need.vn_next;
    }
  }
  void versions_defined(Elf_Data* data, const Elf_Data* names, std::size_t count) {
    std::size_t offset = 0;
    for (std::size_t i = 0; data != nullptr && i < count && spend(1); ++i) {
      GElf_Verdef definition;
      GElf_Verdaux name;
      if (::gelf_getverdef(data, static_cast<int>(offset), &definition) == nullptr) return;
      if ((definition.vd_flags & VER_FLG_BASE) == 0 &&
          ::gelf_getverdaux(data, static_cast<int>(offset + definition.vd_aux), &name) != nullptr)
        out_.defined_versions.push_back(text(names, name.vda_name));
      if (definition.vd_next == 0) return;
      offset += definition.vd_next;
    }
  }
  void symbols(Elf_Data* data, const Elf_Data* names) {
    constexpr std::string_view wanted = "fi_prov_ini";
    // Most files don't even contain the name: spares a walk through thousands of symbols.
    if (names == nullptr || names->d_buf == nullptr ||
        ::memmem(names->d_buf, names->d_size, wanted.data(), wanted.size()) == nullptr)
      return;
    GElf_Sym symbol;
    for (int i = 0; data != nullptr && ::gelf_getsym(data, i, &symbol) != nullptr; ++i) {
      const std::size_t at = symbol.st_name;
      if (symbol.st_shndx != SHN_UNDEF && at < names->d_size &&
          names->d_size - at > wanted.size() &&
          std::memcmp(static_cast<const char*>(names->d_buf) + at, wanted.data(),
                      wanted.size() + 1) == 0)
        out_.is_fabric_provider = true;
    }
  }

  Elf* elf_ = nullptr;
  std::string_view path_;
  ElfFile out_;
  std::size_t left_ = max_elf_lists;
  bool pie_ = false;
};

}  // namespace detail

/// Reads the file open at `fd`, called `path`; none if it is not an ELF file. Damaged parts count
/// as absent. Throws io::Failed if it can't be read.
[[nodiscard]] inline std::optional<ElfFile> read_elf(int fd, std::string_view path) {
  [[maybe_unused]] static const unsigned version = ::elf_version(EV_CURRENT);  // libelf requires it
  return detail::ElfReader(fd, path).read();
}

}  // namespace ch::injection
