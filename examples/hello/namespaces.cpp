// SPDX-License-Identifier: Apache-2.0
//
// Which namespaces am I in, and who am I there? Prints a line for each of Linux's eight
// kinds with the kernel's number for the namespace: two processes share a namespace if and
// only if the numbers are equal. Then ids and mounts. Columns are separated by a tab.
// Run it on the host and in a container, and compare.
// Source: man 7 namespaces, "The /proc/[pid]/ns/ directory"; man 7 user_namespaces.

#include "ch/kernel/fd.hpp"
#include "ch/kernel/process.hpp"
#include "ch/types/ids.hpp"
#include "ch/types/text.hpp"

namespace {

/// Hands the file's content to `use`, piece by piece. A file that can't be read has none.
template <class Use>
void read_file(ch::kernel::Linux& k, const char* path, Use use) {
  const auto fd = ch::kernel::openat(k, ch::Fd::cwd, path, ch::kernel::o_rdonly);
  if (!fd.ok()) return;
  char piece[4096];
  for (;;) {
    const auto n = ch::kernel::read(k, fd.value(), piece, sizeof piece);
    if (!n.ok() || n.value() == 0) break;
    use(std::string_view(piece, n.value()));
  }
  (void)ch::kernel::close(k, fd.value());
}

/// A map with single spaces, lines separated by commas: "inside outside count".
void describe_map(ch::kernel::Linux& k, ch::TextWriter& out, const char* path) {
  char last = '\n';
  read_file(k, path, [&](std::string_view piece) {
    for (const char c : piece) {
      if (c == ' ' && (last == ' ' || last == '\n')) continue;
      if (last == '\n' && c != '\n' && !out.view().ends_with('\t')) out << ", ";
      if (c != '\n') out << c;
      last = c;
    }
  });
  out << '\n';
}

}  // namespace

int ch_main(int, char**, char**) {
  ch::kernel::Linux k;
  ch::TextBuffer<4096> out;
  for (const auto& kind : ch::namespace_kinds) {
    // The link reads "user:[4026531837]".
    ch::TextBuffer<64> path;
    path << "/proc/self/ns/" << kind.name;
    char link[64];
    const auto n = ch::kernel::readlinkat(k, ch::Fd::cwd, path.c_str(), link, sizeof link);
    std::string_view number = n.ok() ? std::string_view(link, n.value()) : "[not on this kernel]";
    number = ch::tail(number, number.find('[') + 1);
    out << kind.name << '\t' << ch::head(number, number.find(']')) << '\n';
  }
  out << "uid\t" << ch::kernel::geteuid(k).value() << '\n';
  out << "gid\t" << ch::kernel::getegid(k).value() << '\n';
  out << "uid_map\t";
  describe_map(k, out, "/proc/self/uid_map");
  out << "gid_map\t";
  describe_map(k, out, "/proc/self/gid_map");
  std::uint64_t mounts = 0;
  read_file(k, "/proc/self/mountinfo", [&](std::string_view piece) {
    for (const char c : piece) mounts += c == '\n' ? 1 : 0;
  });
  out << "mounts\t" << mounts << '\n';

  for (std::string_view rest = out.view(); !rest.empty();) {
    const auto n = ch::kernel::write(k, ch::Fd{1}, rest.data(), rest.size());
    if (!n.ok()) return 1;
    rest.remove_prefix(n.value());
  }
  return 0;
}
