// SPDX-License-Identifier: Apache-2.0
//
// ELF files whose tables point everywhere, and lists that come slowly or never end: the work
// for each is bounded, and exceeding the bound is one error.

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include <thread>

#include "ch/inject/elf_file.hpp"
#include "tests/inject/host_image.hpp"

using test::contains;
using test::FromHost;
using test::inject_fixture;
using test::Ran;
namespace fs = std::filesystem;

namespace {

/// A library of 100 KB whose only table, of this kind, has records that overlap: as versions,
/// each of 5000 entries continues with all that follow. All share one name of 3000 bytes.
std::string library_without_end(unsigned kind) {
  constexpr std::size_t names = 4096, table = 8192, table_size = 80000;
  std::string file(table + table_size, '\0');
  const auto put = [&file](std::size_t at, const auto& value) {
    std::memcpy(file.data() + at, &value, sizeof value);
  };
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_DYN;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof header;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 3;
  header.e_shoff = 1024;
  put(0, header);
  Elf64_Shdr strings{};
  strings.sh_type = SHT_STRTAB;
  strings.sh_offset = names;
  strings.sh_size = 4096;
  put(header.e_shoff + sizeof strings, strings);
  std::fill_n(file.begin() + names + 16, 3000, 'x');
  Elf64_Shdr section{};
  section.sh_type = kind;
  section.sh_offset = table;
  section.sh_size = table_size;
  section.sh_link = 1;
  section.sh_info = 0xffffffff;
  section.sh_addralign = 4;
  section.sh_entsize = kind == SHT_DYNAMIC ? sizeof(Elf64_Dyn) : 0;
  put(header.e_shoff + 2 * sizeof section, section);
  Elf64_Dyn needed{};
  needed.d_tag = DT_NEEDED;
  needed.d_un.d_val = 16;
  Elf64_Verneed version{1, 0xffff, 16, 16, 16};  // the next one's name and place, too
  for (std::size_t at = table; at + 32 <= file.size(); at += 16)
    if (kind == SHT_DYNAMIC)
      put(at, needed);
    else
      put(at, version);
  return file;
}

}  // namespace

TEST_CASE("an ELF file with endless lists is read up to a limit and refused", "[inject][tool]") {
  for (const unsigned kind : {SHT_DYNAMIC, SHT_GNU_verneed}) {
    const FromHost f;
    CAPTURE(kind);
    const fs::path path = f.dir / "libendless.so.1";
    test::write_file(path, library_without_end(kind));
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const auto elf = ch::injection::read_elf(fd, path.string());
    close(fd);
    REQUIRE(elf);
    CHECK(elf->is_cut);
    std::size_t bytes = 0;
    for (const std::string& name : elf->needed) bytes += 1 + name.size();
    for (const auto& need : elf->needed_versions) bytes += need.file.size() + need.version.size();
    CHECK(bytes > 100000);  // it was read
    CHECK(bytes <= ch::injection::max_elf_lists);
    const auto before = test::everything(f.image, true);
    const Ran ran = f({"-p", path});
    CHECK(ran.status == 1);
    CHECK(contains(ran.err, "its lists of names and versions are too long"));
    CHECK(before == test::everything(f.image, true));
  }
}

TEST_CASE("a list from a fifo is read to its end, however slowly it comes", "[inject][tool]") {
  const FromHost f;
  const fs::path fifo = f.dir / "fifo";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  const std::string text = inject_fixture("bin/charlie_ask").string() + '\n' +
                           inject_fixture("lib/libcharlie_answer.so.1.0").string();
  std::thread writer([&] {
    sigset_t pipe;  // don't die if the reader closes the pipe early
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    const int fd = open(fifo.c_str(), O_WRONLY | O_CLOEXEC);
    for (const char c : text) {
      (void)!write(fd, &c, 1);
      usleep(500);
    }
    close(fd);
  });
  const Ran ran = f({"-f", fifo});
  writer.join();
  CAPTURE(ran.err);
  CHECK(ran.status == 0);
  CHECK(f.inside({"charlie_ask"}).out == "the answer is 42\n");
}

TEST_CASE("a list longer than what is read is one error that names the limit", "[inject][tool]") {
  const FromHost f;
  const auto before = test::everything(f.image, true);
  const std::string list = f.dir / "list";
  test::write_file(list, "");
  fs::resize_file(list, (std::uintmax_t{64} << 20) + 1);
  for (const Ran& ran : {f({"-f", list}), f({"-c", "cat " + list})}) {
    CAPTURE(ran.err);
    CHECK(ran.status == 1);
    CHECK(contains(ran.err, "longer than 67108864 bytes"));
    CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 2);
  }
  CHECK(before == test::everything(f.image, true));
}
