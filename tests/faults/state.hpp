// SPDX-License-Identifier: Apache-2.0
//
// Fault injection: what is there, as text to compare: trees of files with all that belongs
// to them, mounts, names of sockets.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>

namespace faults {

namespace fs = std::filesystem;

/// Path to description.
using State = std::map<std::string, std::string>;

inline std::string text_of(const fs::path& path) {
  // Not by istreambuf_iterator, which takes most of the time of a campaign.
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// Kind, mode, owner, extended attributes, target or content; of files also time and links.
inline std::string describe(const fs::path& path, std::map<ino_t, std::string>& first_names) {
  struct stat s {};
  if (lstat(path.c_str(), &s) != 0) return "unreadable";
  std::string text = std::to_string(s.st_mode) + ' ' + std::to_string(s.st_uid) + ' ' +
                     std::to_string(s.st_gid) + ' ';
  char names[1024];
  const ssize_t length = llistxattr(path.c_str(), names, sizeof names);
  for (ssize_t at = 0; at < length;) {
    const std::string name = names + at;
    at += static_cast<ssize_t>(name.size()) + 1;
    if (name.rfind("user.", 0) != 0) continue;
    char value[1024];
    const ssize_t n = lgetxattr(path.c_str(), name.c_str(), value, sizeof value);
    text += name + '=' + std::string(value, n > 0 ? static_cast<std::size_t>(n) : 0) + ' ';
  }
  if (S_ISLNK(s.st_mode)) {
    std::error_code ignored;
    return text + "-> " + fs::read_symlink(path, ignored).string();
  }
  if (!S_ISREG(s.st_mode)) return text;
  if (s.st_nlink > 1)
    text += std::to_string(s.st_nlink) + " links of " +
            first_names.emplace(s.st_ino, path.filename()).first->second + ' ';
  // What was made just now has the time of just now.
  text += s.st_mtim.tv_sec > 1'500'000'000 ? "new " : std::to_string(s.st_mtim.tv_sec) + ' ';
  std::string content = text_of(path);
  if (content.size() > 65536)
    return text + std::to_string(std::hash<std::string>{}(content)) + " of " +
           std::to_string(content.size());
  return text + content;
}

/// All below `root`, under names that begin with `prefix`. Nothing, where there is nothing.
inline void add_tree(State& state, const fs::path& root, const std::string& prefix) {
  std::map<ino_t, std::string> first_names;
  std::error_code error;
  if (!fs::exists(fs::symlink_status(root, error))) return;
  state[prefix] = describe(root, first_names);
  if (!fs::is_directory(fs::symlink_status(root, error))) return;
  // In the order of names, so that the first name of a file is always the same.
  std::map<std::string, fs::path> all;
  for (auto it = fs::recursive_directory_iterator(
           root, fs::directory_options::skip_permission_denied, error);
       it != fs::recursive_directory_iterator(); it.increment(error))
    all[it->path().lexically_relative(root).string()] = it->path();
  for (const auto& [name, path] : all) state[prefix + '/' + name] = describe(path, first_names);
}

/// What differs: the names, and how, cut short.
inline std::string difference(const State& wanted, const State& found) {
  const auto brief = [](const std::string& text) {
    std::string cut = text.substr(0, 120);
    for (char& c : cut)
      if (c == '\n') c = '|';
    return cut;
  };
  std::string text;
  for (const auto& [name, what] : wanted) {
    const auto it = found.find(name);
    if (it == found.end())
      text += "  - " + name + '\n';
    else if (it->second != what)
      text += "  ! " + name + ": " + brief(it->second) + "\n    wanted: " + brief(what) + '\n';
  }
  for (const auto& [name, what] : found)
    if (!wanted.contains(name)) text += "  + " + name + ": " + brief(what) + '\n';
  return text.size() > 1500 ? text.substr(0, 1500) + "...\n" : text;
}

/// Lines of two texts that differ, for messages.
inline std::string line_difference(const std::string& wanted, const std::string& found) {
  State a, b;
  const auto split = [](const std::string& text, State& state) {
    std::size_t from = 0;
    while (from < text.size()) {
      const std::size_t end = std::min(text.find('\n', from), text.size());
      state[text.substr(from, end - from)];
      from = end + 1;
    }
  };
  split(wanted, a);
  split(found, b);
  return difference(a, b);
}

}  // namespace faults
