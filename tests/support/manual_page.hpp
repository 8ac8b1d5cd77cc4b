// SPDX-License-Identifier: Apache-2.0
//
// Test support: a manual page as its readers see it, and the examples in it.
#pragma once

#include <sstream>

#include "tests/support/files.hpp"
#include "tests/support/process.hpp"

namespace test {

inline std::string replace_all(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

/// A line of roff as it is printed.
inline std::string plain(std::string line) {
  const std::pair<const char*, const char*> escapes[] = {
      {"\\-", "-"}, {"\\(aq", "'"}, {"\\(ti", "~"}, {"\\(ha", "^"}, {"\\&", ""}, {"\\e", "\\"}};
  for (const auto& [from, to] : escapes) line = replace_all(line, from, to);
  return line;
}

struct Example {
  std::string command;
  std::string output;  // empty: the page shows none
};

/// Everything in EXAMPLES between .EX and .EE: commands after "$ ", continued with a
/// backslash, and the lines they print.
inline std::vector<Example> examples(const std::string& page) {
  std::istringstream in(page);
  std::vector<Example> out;
  bool in_section = false;
  bool in_example = false;
  bool continued = false;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(".SH", 0) == 0) in_section = line == ".SH EXAMPLES";
    if (line == ".EX" || line == ".EE") {
      in_example = line == ".EX";
      continue;
    }
    if (!in_section || !in_example) continue;
    line = plain(line);
    const bool starts = line.rfind("$ ", 0) == 0;
    REQUIRE((starts || !out.empty()));
    if (starts)
      out.push_back({line.substr(2), ""});
    else if (continued)
      out.back().command += "\n" + line;
    else
      out.back().output += line + "\n";
    continued = line.back() == '\\';
  }
  return out;
}

/// Formatted in 80 columns, without bold and underlines.
inline Ran formatted(const std::string& path) {
  return run({"env", "MANWIDTH=80", "LC_ALL=C.UTF-8", "MANROFFOPT=-ww", "man", "--warnings=w",
              "--encoding=ascii", "--local-file", path});
}

}  // namespace test
