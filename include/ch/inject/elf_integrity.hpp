// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. Checks whether a shared object is complete, by its own tables: everything that a loader
// maps and follows must lie within the file. An ELF file has no checksum, so other damage is not
// noticed. Source: man 5 elf; the generic ABI, "Program Loading" and "Dynamic Linking".
#pragma once

#include <bit>

#include "ch/inject/elf_file.hpp"
#include "ch/io/descriptor.hpp"

namespace ch::injection {

/// What is wrong with a shared object, as text ("it is cut off: ..."), or empty; and the soname
/// from its dynamic section.
struct IntegrityResult {
  std::string problem, soname;
};

namespace detail {

class IntegrityCheck {
 public:
  IntegrityCheck(int fd, std::uint64_t file_size, std::string_view path)
      : elf_((errno = 0, ::elf_begin(fd, ELF_C_READ, nullptr)), &::elf_end),
        size_(file_size),
        path_(path) {}

  [[nodiscard]] IntegrityResult operator()() {
    out_.problem = header_problem();
    if (out_.problem.empty()) out_.problem = segment_problem();
    if (out_.problem.empty()) out_.problem = dynamic_problem();
    if (out_.problem.empty()) out_.problem = section_problem();
    // libelf reports read errors as damage; EINVAL means an impossible offset.
    if (!out_.problem.empty() && errno != 0 && errno != EINVAL) io::throw_errno("read", path_);
    return std::move(out_);
  }

 private:
  [[nodiscard]] bool fits(std::uint64_t offset, std::uint64_t size) const noexcept {
    return offset <= size_ && size <= size_ - offset;
  }
  /// Do `count` records of `each` bytes fit?
  [[nodiscard]] bool fits(std::uint64_t offset, std::uint64_t count, std::uint64_t each) const {
    return offset <= size_ && (count == 0 || each <= (size_ - offset) / count);
  }

  std::string header_problem() {
    if (elf_ == nullptr || ::elf_kind(elf_.get()) != ELF_K_ELF ||
        ::gelf_getehdr(elf_.get(), &header_) == nullptr)
      return "it is not an ELF file";
    if (header_.e_type != ET_DYN) return "it is not a shared object";
    const bool is_64 = header_.e_ident[EI_CLASS] == ELFCLASS64;
    if (header_.e_phnum == 0 ||
        header_.e_phentsize != (is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
      return "it is damaged: it has no program headers that a loader could read";
    if (!fits(header_.e_phoff, header_.e_phnum, header_.e_phentsize))
      return "it is cut off or damaged: its program headers lie beyond its end";
    return {};
  }

  /// A loader needs no section table, but it is at the end of the file, so truncation shows there
  /// first.
  std::string section_problem() {
    if (header_.e_shoff == 0) return {};
    const bool is_64 = header_.e_ident[EI_CLASS] == ELFCLASS64;
    if (header_.e_shentsize != (is_64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)))
      return "it is damaged: its section table can't be read";
    if (!fits(header_.e_shoff, std::max<std::uint64_t>(header_.e_shnum, 1), header_.e_shentsize))
      return "it is cut off or damaged: its section table lies beyond its end";
    std::size_t count = 0;
    if (::elf_getshdrnum(elf_.get(), &count) != 0)
      return "it is damaged: its section table can't be read";
    for (std::size_t i = 1; i < count; ++i) {
      GElf_Shdr section;
      if (::gelf_getshdr(::elf_getscn(elf_.get(), i), &section) == nullptr)
        return "it is damaged: its section table can't be read";
      if (section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL &&
          !fits(section.sh_offset, section.sh_size))
        return "it is cut off or damaged: one of its sections lies beyond its end";
    }
    return {};
  }

  std::string segment_problem() {
    bool any = false;
    for (int i = 0; i < header_.e_phnum; ++i) {
      GElf_Phdr segment;
      if (::gelf_getphdr(elf_.get(), i, &segment) == nullptr)
        return "it is damaged: its program headers can't be read";
      if (segment.p_type == PT_DYNAMIC) {
        if (segment.p_filesz == 0 || !fits(segment.p_offset, segment.p_filesz))
          return "it is cut off or damaged: its dynamic section lies beyond its end";
        dynamic_ = segment;
      }
      if (segment.p_type != PT_LOAD) continue;
      any = true;
      if (segment.p_filesz != 0 && !fits(segment.p_offset, segment.p_filesz))
        return "it is cut off or damaged: one of its segments lies beyond its end";
      const bool aligned =
          segment.p_align <= 1 || (std::has_single_bit(segment.p_align) &&
                                   (segment.p_vaddr - segment.p_offset) % segment.p_align == 0);
      if (segment.p_memsz < segment.p_filesz || !aligned)
        return "it is damaged: one of its segments can't be mapped";
      loaded_.push_back(segment);
    }
    if (!any) return "it is damaged: it has no loadable segment";
    if (!dynamic_) return "it is damaged: it has no dynamic section";
    return {};
  }

  /// The file offset of what a loader finds at `address`, with at least `size` bytes.
  [[nodiscard]] std::optional<std::uint64_t> offset_of(std::uint64_t address,
                                                       std::uint64_t size) const {
    for (const GElf_Phdr& s : loaded_)
      if (address >= s.p_vaddr && address - s.p_vaddr < s.p_filesz &&
          size <= s.p_filesz - (address - s.p_vaddr))
        return s.p_offset + (address - s.p_vaddr);
    return std::nullopt;
  }

  /// The parts of the dynamic section that are checked here.
  struct Dynamic {
    std::uint64_t strings = 0, strings_size = 0;
    std::vector<std::uint64_t> names;      // offsets in the strings
    std::vector<std::uint64_t> addresses;  // of tables that a loader reads
    std::optional<std::uint64_t> soname;
    bool ends = false, has_symbols = false;

    void take(const GElf_Dyn& entry) {
      const std::uint64_t value = entry.d_un.d_val;
      switch (entry.d_tag) {
        case DT_NULL:
          ends = true;
          break;
        case DT_STRSZ:
          strings_size = value;
          break;
        case DT_STRTAB:
          strings = value;
          break;
        case DT_SONAME:
          soname = value;
          [[fallthrough]];
        case DT_NEEDED:
        case DT_RPATH:
        case DT_RUNPATH:
          names.push_back(value);
          break;
        case DT_SYMTAB:
          has_symbols = true;
          [[fallthrough]];
        case DT_HASH:
        case DT_GNU_HASH:
        case DT_VERSYM:
        case DT_VERNEED:
        case DT_VERDEF:
          addresses.push_back(value);
          break;
        default:
          break;
      }
    }
  };

  [[nodiscard]] Elf_Data* piece(std::uint64_t offset, std::uint64_t size, Elf_Type type) {
    return ::elf_getdata_rawchunk(elf_.get(), static_cast<std::int64_t>(offset), size, type);
  }

  std::string dynamic_problem() {
    constexpr const char* outside =
        "it is damaged: its dynamic section refers to places outside the file";
    Elf_Data* entries = piece(dynamic_->p_offset, dynamic_->p_filesz, ELF_T_DYN);
    Dynamic d;
    GElf_Dyn entry;
    for (int i = 0; entries != nullptr && !d.ends && ::gelf_getdyn(entries, i, &entry) != nullptr;
         ++i)
      d.take(entry);
    if (!d.ends) return "it is damaged: its dynamic section has no end";
    const auto at = offset_of(d.strings, d.strings_size);
    if (!d.has_symbols || d.strings_size == 0 || !at) return outside;
    for (const std::uint64_t address : d.addresses)
      if (!offset_of(address, 1)) return outside;
    const Elf_Data* text = piece(*at, d.strings_size, ELF_T_BYTE);
    if (text == nullptr || text->d_buf == nullptr) return outside;
    const auto* first = static_cast<const char*>(text->d_buf);
    if (first[d.strings_size - 1] != '\0') return outside;
    for (const std::uint64_t name : d.names)
      if (name >= d.strings_size) return outside;
    if (d.soname) out_.soname = first + *d.soname;
    return {};
  }

  std::unique_ptr<Elf, decltype(&::elf_end)> elf_;
  std::uint64_t size_;
  std::string_view path_;
  GElf_Ehdr header_{};
  std::vector<GElf_Phdr> loaded_;
  std::optional<GElf_Phdr> dynamic_;
  IntegrityResult out_;
};

}  // namespace detail

/// Checks the file open at `fd`, called `path`. Throws io::Failed if it can't be read.
[[nodiscard]] inline IntegrityResult check_integrity(const io::Descriptor& fd,
                                                     std::string_view path) {
  [[maybe_unused]] static const unsigned version = ::elf_version(EV_CURRENT);  // libelf insists
  const struct stat status = io::status_of(fd, path);
  return detail::IntegrityCheck(fd.get(), static_cast<std::uint64_t>(status.st_size), path)();
}

}  // namespace ch::injection
