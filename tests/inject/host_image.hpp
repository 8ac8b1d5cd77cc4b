// SPDX-License-Identifier: Apache-2.0
//
// Test support: a small image with glibc, made of this host's own: busybox, the C library,
// its loader and ldconfig. Enough to inject into and to run what was injected.
#pragma once

#include <elf.h>
#include <link.h>
#include <sys/stat.h>

#include <cstring>
#include <map>

#include "tests/support/ch_run.hpp"

namespace test {

inline std::string ch_fromhost() { return fs::canonical(tool("CH_FROMHOST", CHARLIE_CH_FROMHOST)); }
inline fs::path inject_fixture(const std::string& name) {
  return fs::path(CHARLIE_INJECT_FIXTURES) / name;
}

/// Path of the C library that this process runs with.
inline fs::path host_libc() {
  std::string found;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* out) {
        const std::string name = info->dlpi_name;
        if (name.find("/libc.so.6") != std::string::npos) *static_cast<std::string*>(out) = name;
        return 0;
      },
      &found);
  REQUIRE_FALSE(found.empty());
  return found;
}

/// The loader that programs of this host name.
inline fs::path host_loader() {
  const std::string program = read_file("/proc/self/exe");
  ElfW(Ehdr) header{};
  std::memcpy(&header, program.data(), sizeof header);
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment{};
    std::memcpy(&segment, program.data() + header.e_phoff + i * sizeof segment, sizeof segment);
    if (segment.p_type == PT_INTERP) return program.substr(segment.p_offset, segment.p_filesz - 1);
  }
  FAIL("this program has no loader");
  return {};
}

inline void make_glibc_image(const fs::path& image) {
  make_image(image);
  for (const char* d : {"lib", "sbin", "usr/bin", "usr/lib", "usr/local/lib", "etc/ld.so.conf.d"})
    fs::create_directories(image / d);
  const auto put = [&image](const fs::path& file) {
    const fs::path to = image / file.relative_path();
    fs::create_directories(to.parent_path());
    fs::copy_file(fs::canonical(file), to);
  };
  put(host_libc());
  put(host_loader());
  fs::copy_file("/sbin/ldconfig", image / "sbin/ldconfig");
  write_file(image / "etc/ld.so.conf", "# comment\ninclude /etc/ld.so.conf.d/*.conf\n");
  write_file(image / "etc/ld.so.conf.d/libc.conf", "/usr/local/lib\n");
  write_file(image / "etc/ld.so.conf.d/multiarch.conf",
             host_libc().parent_path().string() + "\n/nowhere\n");
}

/// Everything in `root`: what it is, its mode, its content; with `times`, those of files too.
inline std::map<std::string, std::string> everything(const fs::path& root, bool times = false) {
  std::map<std::string, std::string> tree;
  for (auto it = fs::recursive_directory_iterator(root); it != fs::recursive_directory_iterator();
       ++it) {
    struct stat s {};
    REQUIRE(lstat(it->path().c_str(), &s) == 0);
    std::string& text = tree[it->path().lexically_relative(root).string()];
    text = std::to_string(s.st_mode) + ' ';
    if (times)
      text += std::to_string(s.st_mtim.tv_sec) + '.' + std::to_string(s.st_mtim.tv_nsec) + ' ' +
              std::to_string(s.st_ctim.tv_sec) + '.' + std::to_string(s.st_ctim.tv_nsec) + ' ' +
              std::to_string(s.st_ino) + ' ';
    if (S_ISLNK(s.st_mode)) text += fs::read_symlink(it->path()).string();
    if (S_ISREG(s.st_mode)) text += read_file(it->path());
  }
  return tree;
}

/// Names in `a` that `b` lacks or has differently, and the other way round: for messages.
inline std::string difference(const std::map<std::string, std::string>& a,
                              const std::map<std::string, std::string>& b) {
  std::string text;
  for (const auto& [path, what] : a)
    if (!b.contains(path))
      text += "- " + path + '\n';
    else if (b.at(path) != what)
      text += "! " + path + '\n';
  for (const auto& [path, what] : b)
    if (!a.contains(path)) text += "+ " + path + '\n';
  return text;
}

/// An image, and ch-fromhost to act on it.
struct FromHost {
  TempDir dir;
  fs::path image = dir / "image";
  RunOptions options;
  FromHost() {
    make_glibc_image(image);
    options.environment = {"PATH=" + (dir / "bin").string() + ":/usr/bin:/bin"};
  }
  /// Runs ch-fromhost with `words` and the image.
  [[nodiscard]] Ran operator()(std::vector<std::string> words) const {
    words.insert(words.begin(), ch_fromhost());
    words.push_back(image);
    return run(words, options);
  }
  /// Runs a command in the image.
  [[nodiscard]] Ran inside(std::vector<std::string> words) const {
    words.insert(words.begin(), {ch_run_path(), image, "--"});
    return run(words, options);
  }
};

}  // namespace test
