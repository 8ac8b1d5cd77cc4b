// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Removes what lower layers have in a directory and keeps what the current layer has, at
// any depth. Stores only the names of kept directories still to be examined, never of everything
// that is removed.
// Source: OCI image specification, layer.md, "Whiteouts".
#pragma once

#include "ch/image/directories.hpp"

namespace ch::images {

/// One removal. `directories` knows what the current layer has. Throws what remove_tree does.
class LowerRemoval {
 public:
  explicit LowerRemoval(Directories& directories) : directories_(directories) {}

  /// Removes what is at `path`, which is `name` in the directory `parent`.
  void remove(int parent, const std::string& name, const std::string& path) {
    struct stat status {};
    if (!io::status_of(parent, name.c_str(), status)) return;
    if (!directories_.noted(path)) {
      remove_tree(parent, name);
      directories_.forget(path);
    } else if (S_ISDIR(status.st_mode)) {
      remove_in(io::open_directory(parent, name.c_str()).get(), path);
    }
  }
  /// Removes the contents of `directory`, which is at `path`.
  void remove_in(int directory, std::string path) {
    Descent at(directory);
    path_ = std::move(path);
    std::vector<Level> levels{{path_.size(), scan(directory)}};
    while (!levels.empty()) {
      path_.resize(levels.back().path_size);
      if (levels.back().left.empty()) {
        levels.pop_back();
        if (!at.at_top()) at.leave([this] { return printable(path_); });
        continue;
      }
      const std::string name = std::move(levels.back().left.back());
      levels.back().left.pop_back();
      at.enter(io::open_directory(at.fd(), name.c_str()));
      add(name);
      levels.push_back({path_.size(), scan(at.fd())});
    }
  }

 private:
  struct Level {
    std::size_t path_size;
    std::vector<std::string> left;  // its kept directories
  };
  void add(std::string_view name) {
    if (!path_.empty()) path_ += '/';
    path_ += name;
  }
  /// Removes what is not kept and returns the directories that are. Some file systems skip entries
  /// if others are removed meanwhile, so it repeats until there is nothing left to remove.
  std::vector<std::string> scan(int directory) {
    const std::size_t size = path_.size();
    std::vector<std::string> left;
    for (bool removed = true; removed;) {
      removed = false;
      left.clear();
      io::each_entry(directory, [&](const dirent& entry) {
        path_.resize(size);
        add(entry.d_name);
        struct stat status {};
        if (!directories_.noted(path_)) {
          remove_tree(directory, entry.d_name);
          directories_.forget(path_);
          removed = true;
        } else if (io::status_of(directory, entry.d_name, status) && S_ISDIR(status.st_mode)) {
          left.emplace_back(entry.d_name);
        }
        return true;
      });
    }
    path_.resize(size);
    return left;
  }

  Directories& directories_;
  std::string path_;
};

}  // namespace ch::images
