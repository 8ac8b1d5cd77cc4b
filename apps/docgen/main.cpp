// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. charlie-docgen: prints a tool's manual page or completion, at build time.
//
//   charlie-docgen TOOL manual SOURCE
//   charlie-docgen TOOL bash|zsh|fish
//
// A tool describes itself in its own folder (apps/TOOL/documented.cpp); one more line in
// the list below, and its name in cmake/CharlieDocs.cmake, generate all four.

#include <cstdio>
#include <fstream>
#include <iterator>

#include "ch/cli/complete_bash.hpp"
#include "ch/cli/complete_fish.hpp"
#include "ch/cli/complete_zsh.hpp"
#include "ch/cli/manual.hpp"
#include "ch/version.hpp"

extern const ch::cli::Tool ch_run_documented;
extern const ch::cli::Tool ch_tar2dir_documented;
extern const ch::cli::Tool ch_fromhost_documented;
extern const ch::cli::Tool ch_device_documented;

namespace {

const ch::cli::Tool* const tools[] = {&ch_run_documented, &ch_tar2dir_documented,
                                      &ch_fromhost_documented, &ch_device_documented};

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

int print_manual(const ch::cli::Tool& tool, const char* path) {
  std::ifstream file(path);
  const std::string source(std::istreambuf_iterator<char>(file), {});
  if (!file.is_open() || source.empty()) {
    std::fprintf(stderr, "charlie-docgen: error: can't read %s\n", path);
    return 1;
  }
  ch::cli::write_manual(source, tool.options, ch::version, print);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view name(argc > 1 ? argv[1] : "");
  const std::string_view form(argc > 2 ? argv[2] : "");
  for (const ch::cli::Tool* tool : tools) {
    if (tool->name != name) continue;
    if (form == "manual" && argc == 4) return print_manual(*tool, argv[3]);
    if (form == "bash" && argc == 3) return ch::cli::write_bash_completion(*tool, print), 0;
    if (form == "zsh" && argc == 3) return ch::cli::write_zsh_completion(*tool, print), 0;
    if (form == "fish" && argc == 3) return ch::cli::write_fish_completion(*tool, print), 0;
  }
  std::fputs("usage: charlie-docgen TOOL manual SOURCE | TOOL bash|zsh|fish\n", stderr);
  return 64;
}
