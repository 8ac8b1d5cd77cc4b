// SPDX-License-Identifier: Apache-2.0
//
// Fault injection: a scenario is one or several commands, the state they start from, and how to see
// what they have done.
#pragma once

#include <functional>
#include <memory>

#include "tests/faults/state.hpp"
#include "tests/support/require.hpp"

namespace faults {

struct Tools {
  fs::path bin;      // ch-run and the others
  fs::path probe;    // static: prints what container it is in
  fs::path objects;  // libraries to inject
};

/// A worker's private directory, removed at its end.
class Place {
 public:
  /// In memory, where thousands of trees are made and deleted; but not where a container
  /// sees it: the host's /dev and /tmp are the container's.
  Place(const Tools& given, bool seen_inside) : tools(given) {
    const bool memory = !seen_inside && access("/dev/shm", W_OK) == 0;
    std::string name = std::string(memory ? "/dev/shm" : "/var/tmp") + "/charlie-faults.XXXXXX";
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = fs::canonical(name);
    fs::permissions(path, fs::perms(0755));
    for (const char* directory : {"home", "tmp"}) fs::create_directory(path / directory);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() { clear(path); }

  /// Removes a tree whatever the modes of its directories.
  static void clear(const fs::path& root) {
    std::error_code ignored;
    for (auto it = fs::recursive_directory_iterator(
             root, fs::directory_options::skip_permission_denied, ignored);
         it != fs::recursive_directory_iterator(); it.increment(ignored))
      if (it->is_directory(ignored) && !it->is_symlink(ignored))
        fs::permissions(it->path(), fs::perms(0700), ignored);
    fs::remove_all(root, ignored);
  }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path / name; }
  [[nodiscard]] std::string tool(const char* name) const { return tools.bin / name; }
  /// A copy of a tree made of files, directories and links.
  static void copy(const fs::path& from, const fs::path& to) {
    fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  }

  fs::path path;
  Tools tools;
};

using Command = std::vector<std::string>;

struct Scenario {
  std::string tool;
  std::string name;
  std::vector<Command> commands;         // more than one: at the same time
  std::vector<std::string> environment;  // of all
  std::function<void()> reset = [] {};   // puts back what the commands find
  std::function<State()> state;          // of what they change
  /// Names that no run may leave behind, unless it says so.
  std::function<std::vector<std::string>()> leftovers = [] { return std::vector<std::string>(); };
  /// Undoes everything, if possible; then the state is as before.
  Command undo;
  std::vector<int> refusals = {1};  // exit statuses that say: could not be done
  /// What is below this may stay until the next run, if a warning names it as seen from here.
  std::string may_stay;
  std::string remarks;  // lines of the output that begin so may come and go
  std::string common;   // lines of the output that begin so name what all must agree upon
  std::vector<std::shared_ptr<void>> held;  // lives as long as the scenario
};

using Make = std::function<Scenario(const Place&)>;

struct Entry {
  std::string tool;
  std::string name;
  Make make;
};

}  // namespace faults
