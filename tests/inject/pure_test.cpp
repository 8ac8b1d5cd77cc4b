// SPDX-License-Identifier: Apache-2.0
//
// Decisions about files, and parsing of lists, caches and records:
// everything that needs no image.

#include <catch2/catch.hpp>

#include "ch/inject/classify.hpp"
#include "ch/inject/image_libraries.hpp"
#include "ch/inject/manifest.hpp"
#include "ch/inject/sources.hpp"

using namespace ch::injection;

namespace {
std::optional<ElfFile> elf(ElfFile::Type type, std::string soname = {}) {
  ElfFile file;
  file.type = type;
  file.soname = std::move(soname);
  return file;
}
constexpr auto library = ElfFile::Type::library;
constexpr auto executable = ElfFile::Type::executable;
}  // namespace

TEST_CASE("the content of a file decides, even if its path suggests something else",
          "[inject][pure]") {
  CHECK(classify("/opt/binutils/libz.so.1", elf(library, "libz.so.1"), "", true).kind ==
        Kind::library);
  CHECK(classify("/opt/binutils/libz.so.1", elf(library, "libz.so.1"), "", true).rules_differ());
  CHECK(classify("/usr/lib/git-core/git", elf(executable), "", true).kind == Kind::executable);
  CHECK(classify("/usr/lib/foo/run.sh", {}, "#!/bin/sh", true).kind == Kind::executable);
  CHECK(classify("/usr/lib/foo/run.sh", {}, "#!/bin/sh", false).kind == Kind::library);
  CHECK(classify("/data/x", elf(library, "libfabric.so.1"), "", true).kind == Kind::fabric);
  auto provider = elf(library);
  provider->is_fabric_provider = true;
  CHECK(classify("/data/x.so", provider, "", true).kind == Kind::fabric_provider);
  // A name alone makes no provider of something that defines none.
  CHECK(classify("/data/wi-fi.so", elf(library, "wi-fi.so"), "", true).kind == Kind::library);
}

TEST_CASE("if the content of a file does not decide, its path does", "[inject][pure]") {
  CHECK(classify("/sbin/x", {}, "data", false).kind == Kind::executable);
  CHECK(classify("/usr/share/binary/x", {}, "data", false).kind == Kind::executable);
  CHECK(classify("/usr/lib64/x.conf", {}, "data", false).kind == Kind::library);
  CHECK(classify("/data/x.so.3", {}, "data", false).kind == Kind::library);
  CHECK(classify("/data/x-fi.so", {}, "data", false).kind == Kind::fabric_provider);
  CHECK(classify("/etc/quux", {}, "data", false).kind == Kind::other);
  CHECK_FALSE(classify("/etc/quux", {}, "data", false).rules_differ());
}

TEST_CASE("lists are split at newlines, or at NUL if they have one", "[inject][pure]") {
  CHECK(paths_in_list("/a\n\n/b c:d\n") == std::vector<std::string>{"/a", "/b c:d"});
  CHECK(paths_in_list(std::string_view("/a\n1\0/b\0", 8)) ==
        std::vector<std::string>{"/a\n1", "/b"});
  CHECK(paths_in_list("").empty());
  CHECK(words_of(" cat  x.txt\ty ") == std::vector<std::string>{"cat", "x.txt", "y"});
}

TEST_CASE("comments and blanks in a loader's configuration are ignored", "[inject][pure]") {
  CHECK(configuration_lines("# a\n /usr/lib # b\r\n\n\tinclude x\n") ==
        std::vector<std::string>{"/usr/lib", "include x"});
  // Longer than a string that stores its text in itself.
  CHECK(configuration_lines("  include /etc/ld.so.conf.d/*.conf  # all of them\n") ==
        std::vector<std::string>{"include /etc/ld.so.conf.d/*.conf"});
}

TEST_CASE("a damaged loader cache yields the intact entries and nothing else", "[inject][pure]") {
  const auto number = [](std::uint32_t n) {
    return std::string(reinterpret_cast<const char*>(&n), sizeof n);
  };
  std::string cache = "glibc-ld.so.cache1.1" + number(2) + number(20) + std::string(20, '\0');
  const auto entry = [&number](std::uint32_t key, std::uint32_t value) {
    return number(3) + number(key) + number(value) + std::string(12, '\0');
  };
  cache += entry(96, 104) + entry(104, 999999);
  cache += std::string("liba.so", 8) + std::string("/l/liba.so", 11);
  const auto found = parse_loader_cache("old list" + cache);
  REQUIRE(found.size() == 2);
  CHECK(found[0].soname == "liba.so");
  CHECK(found[0].path == "/l/liba.so");
  CHECK(found[1].path.empty());
  for (std::size_t n = 0; n < cache.size(); ++n)
    CHECK(parse_loader_cache(std::string_view(cache).substr(0, n)).size() <= 2);
  CHECK(parse_loader_cache("nonsense").empty());
}

TEST_CASE("a loader cache whose entries share one long name does not grow when it is read",
          "[inject][pure]") {
  const auto number = [](std::uint32_t n) {
    return std::string(reinterpret_cast<const char*>(&n), sizeof n);
  };
  constexpr std::uint32_t entries = 1000;
  std::string cache = "glibc-ld.so.cache1.1" + number(entries) + number(50000);
  cache += std::string(20, '\0');
  for (std::uint32_t i = 0; i < entries; ++i)
    cache +=
        number(3) + number(48 + 24 * entries) + number(48 + 24 * entries) + std::string(12, '\0');
  cache += std::string(50000, 'x') + '\0';
  std::size_t size = 0;
  for (const auto& entry : parse_loader_cache(cache))
    size += entry.soname.size() + entry.path.size();
  CHECK(size > 0);
  CHECK(size < 4 * cache.size());
}

TEST_CASE("a record preserves any bytes", "[inject][pure]") {
  std::string all;
  for (int c = 1; c < 256; ++c) all += static_cast<char>(c);
  CHECK(decoded(encoded(all)) == all);
  CHECK(encoded("/usr/lib/a b") == "/usr/lib/a b");
  CHECK(encoded("50%\n") == "50%25%0A");

  Manifest m;
  m.items.push_back({"/usr/bin/\xff\n:", "/x", "", "r", 1, 2, 3, 4});
  m.items.push_back({"/usr/lib/l", "", "target\xfe", "r", 1, 0, 0, 0});
  m.directories = {"/d\xff"};
  m.has_run_ldconfig = true;
  const Manifest again = manifest_from_text(to_text(m));
  CHECK(again.items == m.items);
  CHECK(again.directories == m.directories);
  CHECK(again.has_run_ldconfig);

  Journal j;
  j.changes.push_back({"/d\n", "n\xff", 7, true});
  j.opened.push_back({"/d", 0555});
  j.decided = true;
  const Journal read = journal_from_text(to_text(j));
  CHECK(read.decided);
  CHECK(read.changes.at(0).name == "n\xff");
  CHECK(read.changes.at(0).number == 7);
  CHECK(read.opened.at(0).mode == 0555);
}

TEST_CASE("a record that comes with an image can't name paths outside", "[inject][pure]") {
  for (const char* name : {"..", ".", "", "a/b", "../../etc/passwd"}) {
    Journal j;
    j.changes.push_back({"/d", name, 1, false});
    CHECK_THROWS_AS(journal_from_text(to_text(j)), ch::io::Failed);
  }
  Manifest m;
  m.items.push_back({"/usr/bin/..", "", "", "", 0, 0, 0, 0});
  CHECK_THROWS_AS(manifest_from_text(to_text(m)), ch::io::Failed);
  CHECK_THROWS_AS(manifest_from_text("[]"), ch::io::Failed);
  CHECK_THROWS_AS(manifest_from_text("{"), ch::io::Failed);
}

TEST_CASE("a number in a journal or manifest that is no whole number, or too large, is refused",
          "[pure]") {
  const auto replaced = [](std::string text, const std::string& what, const std::string& by) {
    const auto at = text.find(what);
    REQUIRE(at != std::string::npos);
    return text.replace(at, what.size(), by);
  };
  Journal j;
  j.changes = {{"/lib", "a", 4711, true}};
  j.unneeded = {4712};
  j.opened = {{"/lib", 0123}};
  Manifest m;
  m.items.push_back({"/lib/a", "/a", {}, "r", 4711, 4713, 4714, 4715});
  for (const char* bad : {"1.5", "1.84765e+19", "-1e300", "18446744073709551616", "\"1\"", "[]"}) {
    INFO(bad);
    for (const char* number : {"4711", "4712", "83"})
      CHECK_THROWS_AS(journal_from_text(replaced(to_text(j), number, bad)), ch::io::Failed);
    for (const char* number : {"4711", "4713", "4714", "4715"})
      CHECK_THROWS_AS(manifest_from_text(replaced(to_text(m), number, bad)), ch::io::Failed);
  }
  CHECK_THROWS_AS(journal_from_text(replaced(to_text(j), "83", "4096")), ch::io::Failed);  // a mode
  CHECK_THROWS_AS(journal_from_text(replaced(to_text(j), "4712", "-1")), ch::io::Failed);
}
