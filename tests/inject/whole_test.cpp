// SPDX-License-Identifier: Apache-2.0
//
// A file that the image's loader would find instead of a library of the image must be a whole
// shared object for the same machine: a truncated one would break every program that needs it.

#include <elf.h>

#include "ch/inject/planner.hpp"
#include "tests/inject/host_image.hpp"
#include "tests/support/faults.hpp"

using test::contains;
using test::FromHost;
using test::inject_fixture;
using test::Ran;
namespace fs = std::filesystem;

namespace {

constexpr const char* soname = "libcharlie_answer.so.1";

/// An image with its own library, and files to be injected under that library's name.
struct Shadowing : FromHost {
  std::string whole = test::read_file(inject_fixture("lib/libcharlie_answer.so.1.0"));
  fs::path own = image / "usr/lib" / soname;
  std::map<std::string, std::string> before;
  Shadowing() {
    test::write_file(own, whole);
    fs::create_directories(dir / "host");
    before = test::everything(image, true);
  }
  [[nodiscard]] Ran inject(const std::string& bytes, const std::string& name = soname,
                           const std::vector<std::string>& more = {}) const {
    const fs::path file = dir / "host" / name;
    test::write_file(file, bytes);
    std::vector<std::string> words = more;
    words.insert(words.end(), {"-p", file});
    return (*this)(words);
  }
  void refuses(const Ran& ran, const std::string& because) const {
    CAPTURE(ran.status, ran.out, ran.err);
    CHECK(ran.status == 1);
    CHECK(contains(ran.err, "cannot inject (it would take the place of the image's "));
    CHECK(contains(ran.err, because));
    CHECK(contains(ran.err, "\nch-fromhost: remedy: "));
    CHECK(before == test::everything(image, true));
  }
};

/// `bytes` with another `value` at `at`.
template <class T>
std::string with(std::string bytes, std::size_t at, T value) {
  bytes.replace(at, sizeof value, reinterpret_cast<const char*>(&value), sizeof value);
  return bytes;
}
Elf64_Ehdr header_of(const std::string& bytes) {
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  return header;
}
/// Where the program header of this type is.
std::size_t segment_at(const std::string& bytes, std::uint32_t type) {
  const Elf64_Ehdr header = header_of(bytes);
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    const std::size_t at = header.e_phoff + i * sizeof(Elf64_Phdr);
    Elf64_Phdr segment;
    std::memcpy(&segment, bytes.data() + at, sizeof segment);
    if (segment.p_type == type) return at;
  }
  FAIL("no such segment");
  return 0;
}
/// Where the value of this entry of the dynamic section is.
std::size_t dynamic_at(const std::string& bytes, std::int64_t tag) {
  Elf64_Phdr segment;
  std::memcpy(&segment, bytes.data() + segment_at(bytes, PT_DYNAMIC), sizeof segment);
  for (std::size_t at = segment.p_offset; at < segment.p_offset + segment.p_filesz;
       at += sizeof(Elf64_Dyn)) {
    Elf64_Dyn entry;
    std::memcpy(&entry, bytes.data() + at, sizeof entry);
    if (entry.d_tag == tag) return at + offsetof(Elf64_Dyn, d_un);
  }
  FAIL("no such entry");
  return 0;
}

/// The same file as a loader sees it.
std::string without_sections(const std::string& bytes) {
  return with(with(with(bytes, offsetof(Elf64_Ehdr, e_shoff), std::uint64_t{0}),
                   offsetof(Elf64_Ehdr, e_shnum), std::uint16_t{0}),
              offsetof(Elf64_Ehdr, e_shstrndx), std::uint16_t{0});
}

}  // namespace

TEST_CASE("a file yields the same information without its section table", "[inject][pure]") {
  const test::TempDir dir;
  int versions = 0;
  for (const char* path : {"/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6",
                           "/lib/x86_64-linux-gnu/libm.so.6", "/bin/sh", "/usr/bin/env"}) {
    if (!fs::exists(path)) continue;
    const std::string bytes = test::read_file(path);
    if (bytes.compare(0, 4,
                      "\x7f"
                      "ELF") != 0 ||
        bytes[EI_CLASS] != ELFCLASS64)
      continue;
    test::write_file(dir / "bare", without_sections(bytes));
    const auto elf = [](const std::string& file) {
      const ch::io::Descriptor fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
      return *ch::injection::read_elf(fd.get(), file);
    };
    const auto whole = elf(path), bare = elf(dir / "bare");
    CAPTURE(path);
    CHECK(bare.type == whole.type);
    CHECK(bare.soname == whole.soname);
    CHECK(bare.needed == whole.needed);
    CHECK(bare.run_path == whole.run_path);
    CHECK(bare.needed_versions == whole.needed_versions);
    CHECK(bare.defined_versions == whole.defined_versions);
    versions += static_cast<int>(bare.needed_versions.size() + bare.defined_versions.size());
  }
  CHECK(versions > 10);
}

#if defined(CHARLIE_HAVE_TRACER)
TEST_CASE("a file that could not be read is not called damaged", "[inject][tool]") {
  const Shadowing f;
  const std::string source = f.dir / "host" / soname;
  test::write_file(source, f.whole);
  int named = 0;
  for (int k = 0;; ++k) {
    test::Fault fault{[](long number) { return number == SYS_pread64; }};
    fault.at = k;
    fault.error = EIO;
    fault.from = SYS_pread64;
    fault.in_programs = false;
    const test::Faulty ran =
        test::run_with_fault({test::ch_fromhost(), "--no-ldconfig", "-p", source, f.image}, fault);
    if (!ran.hit) break;
    CAPTURE(k, ran.status, ran.err);
    for (const char* wrong : {"damaged", "cut off", "not an ELF", "not a shared object"})
      CHECK_FALSE(contains(ran.err, wrong));
    named += contains(ran.err, "Input/output error") ? 1 : 0;
    if (ran.status == 0) CHECK(f({"--remove"}).status == 0);
  }
  CHECK(named > 2);
}
#endif

TEST_CASE("a file cut anywhere does not take the place of a library of the image",
          "[inject][tool]") {
  const Shadowing f;
  const std::size_t step = std::max<std::size_t>(f.whole.size() / 40, 1);
  for (std::size_t size = 0; size < f.whole.size(); size += step) {
    CAPTURE(size);
    f.refuses(f.inject(f.whole.substr(0, size)), soname);
  }
  f.refuses(f.inject(f.whole.substr(0, f.whole.size() - 1)), "cut off");
  // Under the name of the file as well as under that of a link to it.
  f.refuses(f.inject(f.whole.substr(0, f.whole.size() - 1), "libcharlie_answer.so.1.0"), soname);
  // And by any way to a place where the loader looks, or over the library itself.
  f.refuses(f.inject("garbage", soname, {"-d", "/usr/lib"}), "not an ELF");
  fs::create_directories(f.image / "opt");
  fs::rename(f.own, f.image / "opt" / soname);
  const auto before = test::everything(f.image, true);
  CHECK(f.inject("garbage", soname, {"-d", "/opt"}).status == 1);
  CHECK(before == test::everything(f.image, true));
}

TEST_CASE("a damaged file does not take the place of a library of the image", "[inject][tool]") {
  const Shadowing f;
  const std::string& whole = f.whole;
  const Elf64_Ehdr header = header_of(whole);
  const std::size_t load = segment_at(whole, PT_LOAD);
  const std::size_t dynamic = segment_at(whole, PT_DYNAMIC);
  const std::uint64_t beyond = whole.size() + 1;
  struct Case {
    std::string bytes;
    const char* says;
  };
  const Case cases[] = {
      {"garbage", "not an ELF file"},
      {with(whole, offsetof(Elf64_Ehdr, e_type), std::uint16_t{ET_REL}), "not a shared object"},
      {with(whole, offsetof(Elf64_Ehdr, e_machine), std::uint16_t{EM_AARCH64}), "aarch64"},
      {with(whole, EI_CLASS, std::uint8_t{ELFCLASS32}), "32 bits"},
      {with(whole, EI_DATA, std::uint8_t{ELFDATA2MSB}), "machine"},
      {with(whole, offsetof(Elf64_Ehdr, e_phoff), beyond), "program headers"},
      {with(whole, offsetof(Elf64_Ehdr, e_phoff), ~std::uint64_t{0}), "program headers"},
      {with(whole, offsetof(Elf64_Ehdr, e_phnum), std::uint16_t{0}), "program headers"},
      {with(whole, offsetof(Elf64_Ehdr, e_phnum), std::uint16_t{0xfffe}), "program headers"},
      {with(whole, offsetof(Elf64_Ehdr, e_phentsize), std::uint16_t{7}), "program headers"},
      {with(whole, offsetof(Elf64_Ehdr, e_shoff), beyond), "section"},
      {with(whole, offsetof(Elf64_Ehdr, e_shnum), std::uint16_t{0xfe00}), "section"},
      {with(whole, offsetof(Elf64_Ehdr, e_shentsize), std::uint16_t{3}), "section"},
      {with(whole, header.e_shoff + sizeof(Elf64_Shdr) + offsetof(Elf64_Shdr, sh_offset), beyond),
       "section"},
      {with(whole, load + offsetof(Elf64_Phdr, p_offset), beyond), "segment"},
      {with(whole, load + offsetof(Elf64_Phdr, p_filesz), ~std::uint64_t{0}), "segment"},
      {with(whole, load + offsetof(Elf64_Phdr, p_memsz), std::uint64_t{1}), "segment"},
      {with(whole, load + offsetof(Elf64_Phdr, p_align), std::uint64_t{3}), "segment"},
      {with(whole, dynamic + offsetof(Elf64_Phdr, p_offset), beyond), "dynamic section"},
      {with(whole, dynamic + offsetof(Elf64_Phdr, p_type), std::uint32_t{PT_NULL}),
       "dynamic section"},
      {with(whole, dynamic_at(whole, DT_STRTAB), beyond * 4096), "dynamic section"},
      {with(whole, dynamic_at(whole, DT_SYMTAB), beyond * 4096), "dynamic section"},
      {with(whole, dynamic_at(whole, DT_STRSZ), beyond), "dynamic section"},
      {with(whole, dynamic_at(whole, DT_SONAME), beyond), "dynamic section"},
      {with(whole, whole.find(std::string(soname) + '\0'), 'x'), "soname"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.says);
    f.refuses(f.inject(c.bytes), c.says);
  }
  const auto remedy = [](const Ran& ran) { return ran.err.substr(ran.err.find("remedy: ")); };
  CHECK(contains(remedy(f.inject("garbage")), "get the file again"));
  CHECK(contains(remedy(f.inject(cases[2].bytes)), "for the same machine"));
  const Ran wrong_name = f.inject(test::read_file(inject_fixture("image/libfabric.so.1.2.3")));
  CHECK(wrong_name.status == 1);
  const Ran other = f.inject(test::read_file(inject_fixture("lib/libcharlie_user.so.1")));
  f.refuses(other, "soname is libcharlie_user.so.1");
  CHECK(contains(remedy(other), "inject a library of that soname"));
}

TEST_CASE("a whole library takes the place of the image's, with a section table or without",
          "[inject][tool]") {
  const Shadowing f;
  const Ran whole = f.inject(f.whole);
  CAPTURE(whole.err);
  CHECK(whole.status == 0);
  CHECK(f({"--remove"}).status == 0);
  const std::string without = without_sections(f.whole);
  const Ran bare = f.inject(without, soname, {"--no-ldconfig"});
  CAPTURE(bare.err);
  CHECK(bare.status == 0);
  CHECK(f({"--remove"}).status == 0);
  // A file that replaces nothing is not checked.
  const Ran alone = f.inject(f.whole.substr(0, 100), "libother.so.1", {"-d", "/etc"});
  CAPTURE(alone.err);
  CHECK(alone.status == 0);
}
