// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. What an injection will do, as a plain value: which entries of which directories of the
// image become what, and why. It can be printed (--dry-run), compared in a test, and is carried out
// by a Transaction.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "ch/inject/file_identity.hpp"

namespace ch::injection {

namespace action {
struct Copy {  // a file of the host: exactly the one that was examined
  std::string source;
  FileIdentity identity;
};
struct Link {  // a symbolic link
  std::string target;
};
struct Text {  // a file that we write
  std::string content;
};
struct Restore {  // what was there before an earlier injection
  std::uint64_t original = 0;
};
struct Erase {};
}  // namespace action

using Action =
    std::variant<action::Copy, action::Link, action::Text, action::Restore, action::Erase>;

/// One name in one directory of the image. `directory` is free of links ("" is the root).
struct Entry {
  std::string directory, name;
  Action action;
  std::string reason;  // for people: "inferred: it is an ELF program"
  [[nodiscard]] std::string path() const { return directory + '/' + name; }
};

struct NewDirectory {
  std::string path, reason;
};

/// A library that the image's loader must find afterwards.
struct ExpectedLibrary {
  std::string soname, path;
};

struct InjectionPlan {
  std::vector<NewDirectory> directories;  // parents before children
  std::vector<Entry> entries;
  std::vector<ExpectedLibrary> expected;
  std::vector<std::string> unchanged;  // paths that the image already has, with the same content
  std::vector<std::string> warnings;
  std::vector<std::string> notes;  // for -v
  bool needs_ldconfig = false;
  [[nodiscard]] bool does_nothing() const { return directories.empty() && entries.empty(); }
};

/// Passes the plan to `sink(std::string)`, one line per call, in the order in which it is carried
/// out.
template <class Sink>
void print(const InjectionPlan& plan, Sink&& sink) {
  struct Describe {
    const Entry& e;
    [[nodiscard]] std::string place() const {
      return io::printable(e.directory.empty() ? "/" : e.directory);
    }
    std::string operator()(const action::Copy& a) const {
      const std::string source = io::printable(a.source);
      const bool renamed = a.source.substr(a.source.rfind('/') + 1) != e.name;
      return source + " -> " + (renamed ? io::printable(e.path()) : place());
    }
    std::string operator()(const action::Link& a) const {
      return "ln -s " + io::printable(a.target) + ' ' + io::printable(e.path());
    }
    std::string operator()(const action::Text&) const { return "write " + io::printable(e.path()); }
    std::string operator()(const action::Restore&) const {
      return "restore " + io::printable(e.path());
    }
    std::string operator()(const action::Erase&) const { return "rm " + io::printable(e.path()); }
  };
  for (const NewDirectory& d : plan.directories)
    sink("mkdir " + io::printable(d.path) + " (" + d.reason + ")");
  for (const Entry& e : plan.entries)
    sink(std::visit(Describe{e}, e.action) + " (" + e.reason + ")");
  for (const std::string& path : plan.unchanged) sink(io::printable(path) + " is there already");
}

}  // namespace ch::injection
