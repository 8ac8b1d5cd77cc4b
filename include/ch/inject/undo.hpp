// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. Undoes a change of an image from its journal, or cleans up after one that was decided.
// Works on a full disk, and can be killed and restarted at any point. Source: man 2 renameat,
// unlinkat.
#pragma once

#include "ch/inject/journal.hpp"
#include "ch/inject/originals.hpp"
#include "ch/io/directory.hpp"

namespace ch::injection::undo {

/// The name of our own directory before there is a journal in it, and when it is about to be
/// removed. A run that finds it removes it.
inline std::string temporary_name(const std::string& own) {
  return std::string(io::parent_of(own)) + "/.ch-fromhost.new";
}
inline bool remove_directory(const ImageTree& tree, const std::string& path) {
  const io::Descriptor above = tree.try_open_directory(std::string(io::parent_of(path)));
  return !above || io::try_remove(above.get(), std::string(io::base_of(path)), AT_REMOVEDIR);
}
inline void remove_temporary(const ImageTree& tree, const std::string& temporary) {
  if (const io::Descriptor fd = tree.try_open_directory(temporary)) {
    io::remove_name(fd.get(), std::string(journal_name) + ".new", temporary);
    io::remove_name(fd.get(), journal_name, temporary);
  }
  if (!remove_directory(tree, temporary)) io::throw_errno("remove", temporary);
}

/// Restores what was at one name.
inline void revert_change(const ImageTree& tree, const Journal::Change& c) {
  const io::Descriptor at = tree.try_open_directory(c.directory);
  if (!at) return;
  const std::string path = c.directory + '/' + c.name;
  const Place here{at.get(), c.name};
  io::remove_name(at.get(), c.staged_name(), path);
  const std::string kept_path = tree.locate(own_directory) + '/' + kept_name;
  const io::Descriptor kept = tree.try_open_directory(kept_path);
  const Place original{kept.get(), std::to_string(c.number)};
  struct stat status {};
  if (kept) {
    io::remove_name(kept.get(), unfinished(original.name), path);
    const std::string earlier = std::to_string(c.restores);
    if (c.restores != 0 && !io::status_of(kept.get(), earlier, status))  // it was moved back here
      move_original(here, {kept.get(), earlier}, unfinished(earlier), path);
  }
  if (!c.existed) {
    io::remove_name(at.get(), c.name, path);
    return;
  }
  if (!kept || !io::status_of(kept.get(), original.name, status)) return;  // not yet touched
  if (is_same_original(here, original, path))
    io::remove_name(kept.get(), original.name, path);
  else
    move_original(original, here, c.staged_name(), path);
}

/// Removes the journal; if `goes`, also our own directory, if that is empty otherwise: by way of
/// its temporary name, so that a run killed in between leaves nothing unknown.
inline void end_journal(const ImageTree& tree, const std::string& own, bool goes,
                        std::vector<std::string>& left) {
  const std::string temporary = temporary_name(own);
  const io::Descriptor fd = tree.try_open_directory(own);
  if (!fd) {  // only that was begun
    if (tree.has_directory(temporary)) remove_temporary(tree, temporary);
    return;
  }
  io::remove_name(fd.get(), std::string(journal_name) + ".new", own);
  const auto names = io::names_in(fd.get(), own);
  const io::Descriptor above = tree.try_open_directory(std::string(io::parent_of(own)));
  goes = goes && above && (names.empty() || names == std::vector<std::string>{journal_name});
  const bool renamed =
      goes && ::renameat(above.get(), std::string(io::base_of(own)).c_str(), above.get(),
                         std::string(io::base_of(temporary)).c_str()) == 0;
  const std::string& empty = renamed ? temporary : own;
  io::remove_name(fd.get(), journal_name, empty);
  if (goes && !remove_directory(tree, empty)) left.push_back(empty);
}

/// Removes the journal and `directories` (children last in the list) if they are empty,
/// and gives directories their modes back. If one can't be removed, the journal of a decided change
/// stays, so that the next run tries again.
inline std::vector<std::string> finish(const ImageTree& tree, const Journal& journal,
                                       const std::vector<std::string>& directories) {
  const std::string own = tree.locate(own_directory);
  std::vector<std::string> left;
  for (auto d = directories.rbegin(); d != directories.rend(); ++d)
    if (*d != own && !remove_directory(tree, *d) && errno != ENOTEMPTY && errno != EEXIST &&
        errno != ENOENT)
      left.push_back(*d);
  for (const Journal::Opened& o : journal.opened)
    if (o.path != own)
      if (const io::Descriptor fd = tree.try_open_directory(o.path))
        if (o.path != io::parent_of(own)) (void)::fchmod(fd.get(), o.mode);
  const bool goes = std::find(directories.begin(), directories.end(), own) != directories.end();
  if (!journal.decided || left.empty()) end_journal(tree, own, goes, left);
  for (const Journal::Opened& o : journal.opened)
    if (o.path == own || o.path == io::parent_of(own))
      if (const io::Descriptor fd = tree.try_open_directory(o.path))
        (void)::fchmod(fd.get(), o.mode);
  return left;
}

/// Undoes everything. Returns directories that should have been removed but could not be.
inline std::vector<std::string> revert_all(const ImageTree& tree, const Journal& journal) {
  for (auto c = journal.changes.rbegin(); c != journal.changes.rend(); ++c) revert_change(tree, *c);
  return finish(tree, journal, journal.directories);
}

/// Removes what a decided injection no longer needs. Returns as revert_all() does.
inline std::vector<std::string> clean_up(const ImageTree& tree, const Journal& journal) {
  const std::string path = tree.locate(own_directory) + '/' + kept_name;
  if (const io::Descriptor kept = tree.try_open_directory(path))
    for (const std::uint64_t n : journal.unneeded)
      io::remove_name(kept.get(), std::to_string(n), path);
  return finish(tree, journal, journal.unneeded_directories);
}

/// Undoes, or completes, what a killed run left. True if there was anything.
inline bool recover(const ImageTree& tree) {
  const std::string own = tree.locate(own_directory);
  if (const std::string temporary = temporary_name(own); tree.has_directory(temporary))
    remove_temporary(tree, temporary);
  const auto text = tree.read(own + '/' + journal_name);
  if (text) {
    const Journal journal = journal_from_text(*text);
    for (const Journal::Opened& o : journal.opened)
      if (const io::Descriptor fd = tree.try_open_directory(o.path))
        (void)::fchmod(fd.get(), o.mode | 0700);
    (void)(journal.decided ? clean_up(tree, journal) : revert_all(tree, journal));
  } else if (const io::Descriptor fd = tree.try_open_directory(own)) {
    // Killed while writing the first journal: nothing else was changed yet.
    io::remove_name(fd.get(), std::string(journal_name) + ".new", own);
  }
  (void)remove_directory(tree,
                         own + '/' + kept_name);  // if it is empty, because that failed at the end
  return text.has_value();
}

}  // namespace ch::injection::undo
