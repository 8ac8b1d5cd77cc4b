// SPDX-License-Identifier: Apache-2.0
//
// Test support: tars written header by header, so that they can be as wrong as a test
// needs; compression of them; snapshots of trees to compare.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstdio>
#include <map>

#include "ch/image/unpack.hpp"
#include "tests/support/files.hpp"

namespace test {

struct TarMember {
  std::string name;
  char type = '0';  // '0' file, '1' hard link, '2' symlink, '3' char, '4' block, '5' dir, '6' fifo
  std::string content;
  std::string link;
  unsigned mode = 0644;
  long long mtime = 1000000000;
};

/// A tar as bytes.
class Tar {
 public:
  Tar& add(const TarMember& m) {
    if (m.name.size() > 100) gnu_long('L', m.name);
    if (m.link.size() > 100) gnu_long('K', m.link);
    header(m.name, m.type, m.content.size(), m.link, m.mode, m.mtime);
    body(m.content);
    return *this;
  }
  Tar& file(const std::string& name, const std::string& content, unsigned mode = 0644) {
    return add({name, '0', content, "", mode});
  }
  Tar& dir(const std::string& name, unsigned mode = 0755) { return add({name, '5', "", "", mode}); }
  Tar& symlink(const std::string& name, const std::string& target) {
    return add({name, '2', "", target, 0777});
  }
  Tar& hard_link(const std::string& name, const std::string& target) {
    return add({name, '1', "", target});
  }
  /// A pax extended header for the next member: "key=value" records.
  Tar& pax(const std::vector<std::pair<std::string, std::string>>& records, char type = 'x') {
    std::string text;
    for (const auto& [key, value] : records) {
      const std::string rest = " " + key + "=" + value + "\n";
      std::size_t length = rest.size() + 1;
      while (std::to_string(length).size() + rest.size() != length) ++length;
      text += std::to_string(length) + rest;
    }
    header("PaxHeaders/x", type, text.size(), "", 0644, 0);
    body(text);
    return *this;
  }
  /// A header that claims `size` bytes, whatever follows.
  Tar& header(const std::string& name, char type, std::uint64_t size, const std::string& link,
              unsigned mode, long long mtime) {
    char block[512] = {};
    std::memcpy(block, name.data(), std::min<std::size_t>(name.size(), 100));
    std::snprintf(block + 100, 8, "%07o", mode);
    std::snprintf(block + 108, 8, "%07o", 0U);
    std::snprintf(block + 116, 8, "%07o", 0U);
    if (size < (1ULL << 33)) {
      std::snprintf(block + 124, 12, "%011llo", static_cast<unsigned long long>(size));
    } else {  // GNU's binary form
      block[124] = static_cast<char>(0x80);
      for (int i = 0; i < 8; ++i) block[135 - i] = static_cast<char>(size >> (8 * i));
    }
    std::snprintf(block + 136, 12, "%011llo", static_cast<unsigned long long>(mtime));
    block[156] = type;
    std::memcpy(block + 157, link.data(), std::min<std::size_t>(link.size(), 100));
    std::memcpy(block + 257, "ustar\00000", 8);
    std::memset(block + 148, ' ', 8);
    unsigned sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    std::snprintf(block + 148, 8, "%06o", sum);
    bytes_.append(block, 512);
    return *this;
  }
  Tar& body(const std::string& content) {
    bytes_ += content;
    bytes_.append((512 - content.size() % 512) % 512, '\0');
    return *this;
  }
  Tar& raw(const std::string& text) {
    bytes_ += text;
    return *this;
  }
  /// Without the end mark.
  [[nodiscard]] const std::string& open_bytes() const { return bytes_; }
  [[nodiscard]] std::string bytes() const { return bytes_ + std::string(1024, '\0'); }

 private:
  void gnu_long(char type, const std::string& text) {
    header("././@LongLink", type, text.size() + 1, "", 0644, 0);
    body(text + '\0');
  }
  std::string bytes_;
};

/// `text` through libarchive's write filter of this name (gzip, bzip2, xz, ...).
inline std::string compress(const std::string& text, const std::string& filter,
                            const std::string& options = {}) {
  if (filter == "none") return text;
  std::string out(text.size() * 2 + 65536, '\0');
  std::size_t used = 0;
  archive* a = archive_write_new();
  REQUIRE(archive_write_set_format_raw(a) == ARCHIVE_OK);
  REQUIRE(archive_write_add_filter_by_name(a, filter.c_str()) == ARCHIVE_OK);
  if (!options.empty()) REQUIRE(archive_write_set_options(a, options.c_str()) == ARCHIVE_OK);
  archive_write_set_bytes_per_block(a, 0);
  REQUIRE(archive_write_open_memory(a, out.data(), out.size(), &used) == ARCHIVE_OK);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  REQUIRE(archive_write_header(a, entry) == ARCHIVE_OK);
  REQUIRE(archive_write_data(a, text.data(), text.size()) == static_cast<la_ssize_t>(text.size()));
  archive_entry_free(entry);
  REQUIRE(archive_write_close(a) == ARCHIVE_OK);
  archive_write_free(a);
  out.resize(used);
  return out;
}

inline const std::vector<std::string>& all_filters() {
  static const std::vector<std::string> filters = {"none", "gzip", "bzip2", "xz",
                                                   "lzma", "zstd", "lz4"};
  return filters;
}

/// An unnamed file with these bytes.
inline ch::io::Descriptor memory_file(const std::string& bytes) {
  ch::io::Descriptor fd(memfd_create("test", MFD_CLOEXEC));
  REQUIRE(fd);
  ch::images::write_all(fd.get(), bytes.data(), bytes.size(), 0, "memory file");
  return fd;
}

/// Options for unpacking in this process, which is quicker than in a container.
inline ch::images::UnpackOptions uncontained() {
  ch::images::UnpackOptions options;
  options.containment = ch::images::Containment::none;
  return options;
}

/// Unpacks bytes to `destination`. Throws ch::io::Failed.
inline ch::images::UnpackReport unpack_bytes(const std::string& bytes, const fs::path& destination,
                                             ch::images::UnpackOptions options = uncontained()) {
  options.sync = ch::images::Sync::none;
  ch::images::Input input{memory_file(bytes), {}};
  ch::images::AtomicDirectory directory(destination.string(), options.replace);
  return ch::images::unpack(input, directory, options);
}

/// The failure of an attempt, or none.
template <class Attempt>
std::optional<ch::io::Failed> failure_of(Attempt&& attempt) {
  try {
    attempt();
  } catch (const ch::io::Failed& e) {
    return e;
  }
  return std::nullopt;
}

/// A tree as text: one line per entry with kind, mode, time, links, target and content.
/// What we add for ch-run is left out.
inline std::map<std::string, std::string> snapshot(const fs::path& root) {
  static const char* const ours[] = {"ch",         "mnt",       "proc",
                                     "sys",        "dev",       "tmp",
                                     "home",       "etc/hosts", "etc/resolv.conf",
                                     "etc/passwd", "etc/group", "etc/machine-id"};
  std::map<std::string, std::string> tree;
  std::map<ino_t, std::string> first_name;
  for (auto it = fs::recursive_directory_iterator(root); it != fs::recursive_directory_iterator();
       ++it) {
    const std::string path = it->path().lexically_relative(root).string();
    bool added = false;
    for (const std::string_view name : ours)
      added = added || path == name || path.starts_with(std::string(name) + "/");
    if (added) continue;
    struct stat s {};
    REQUIRE(lstat(it->path().c_str(), &s) == 0);
    char line[128];
    const bool is_dir = S_ISDIR(s.st_mode);
    std::snprintf(line, sizeof line, "%06o %lld.%09ld %d ", s.st_mode,
                  static_cast<long long>(s.st_mtim.tv_sec), s.st_mtim.tv_nsec,
                  is_dir ? 0 : static_cast<int>(s.st_nlink));
    tree[path] = line;
    if (S_ISLNK(s.st_mode)) tree[path] += "-> " + fs::read_symlink(it->path()).string();
    if (S_ISREG(s.st_mode)) tree[path] += read_file(it->path());
  }
  return tree;
}

/// The content of a file in the image, without following links; "(none)" if there is none.
inline std::string content(const fs::path& path) {
  struct stat s {};
  if (lstat(path.c_str(), &s) != 0) return "(none)";
  if (!S_ISREG(s.st_mode)) return "(no file)";
  return read_file(path);
}

}  // namespace test
