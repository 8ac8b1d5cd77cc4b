// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. Changing an image all or nothing. What is new is staged next to where it goes,
// what it replaces gets a second name in ch/injected.d; then names are exchanged one by
// one. Until commit() has decided, everything can be undone: by us when something fails,
// by the next run when we were killed. The power may fail all the same: nothing is synced.
// Source: man 2 rename, flock.
#pragma once

#include <sys/file.h>

#include <atomic>
#include <memory>

#include "ch/inject/file_copy.hpp"
#include "ch/inject/in_parallel.hpp"
#include "ch/inject/injection_plan.hpp"
#include "ch/inject/journal.hpp"
#include "ch/types/text.hpp"

namespace ch::inject {

/// Holds the image for one run of ours. Throws if another one has it.
class ImageLock {
 public:
  explicit ImageLock(const ImageTree& tree)
      : fd_(::openat(tree.root().get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (!fd_) throw_errno("open image", tree.path());
    if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) return;
    if (errno == EWOULDBLOCK)
      throw InjectError(printable(tree.path()), "another ch-fromhost is working on this image",
                        "wait until it has ended");
    // A file system without locks: go on, as Charliecloud does everywhere.
  }

 private:
  Descriptor fd_;
};

class Transaction {
 public:
  /// Nothing is changed yet. `stop`: becomes true when the user wants to end this.
  explicit Transaction(const ImageTree& tree, const std::atomic<bool>* stop = nullptr)
      : tree_(tree), stop_(stop), own_(tree.locate(own_directory)), kept_(own_ + '/' + kept_name) {}
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction() {
    if (state_ != State::changing) return;
    try {
      undo(tree_, journal_);
    } catch (const std::exception&) {
      // The journal is still there, and so the next run tries again.
    }
  }

  /// Undoes, or completes, what a killed run left. True if there was anything.
  static bool recover(const ImageTree& tree) {
    const std::string own = tree.locate(own_directory);
    const auto text = tree.read(own + '/' + journal_name);
    if (!text) {  // killed while it wrote the first one: nothing else was changed yet
      if (const Descriptor fd = tree.try_open_directory(own))
        remove_name(fd.get(), std::string(journal_name) + ".new", own);
      return false;
    }
    const Journal journal = journal_from_text(*text);
    if (journal.decided)
      clear(tree, journal);
    else
      undo(tree, journal);
    return true;
  }

  /// The number that the original of the `index`-th entry is kept under.
  [[nodiscard]] std::uint64_t number(std::size_t index) const {
    return journal_.changes.at(index).number;
  }
  [[nodiscard]] bool existed(std::size_t index) const { return journal_.changes.at(index).existed; }
  /// Was `directory` missing when this began?
  [[nodiscard]] bool made(const std::string& directory) const {
    const auto& all = journal_.directories;
    return std::find(all.begin(), all.end(), directory) != all.end();
  }

  /// Looks at what is there, and writes the journal: the first change to the image.
  /// `guarded` are files that somebody else is going to rewrite; they come back if this
  /// fails.
  void begin(const InjectionPlan& plan, const std::vector<std::string>& guarded) {
    std::uint64_t next = 1;
    if (const Descriptor kept = tree_.try_open_directory(kept_))
      for (const std::string& name : names_in(kept.get(), kept_))
        if (std::uint64_t n = 0; parse_number(name, ~std::uint64_t{0} >> 1, n))
          next = std::max(next, n + 1);
    const auto note = [&](const std::string& directory, const std::string& name) {
      journal_.changes.push_back({directory, name, next++, false});
      const Descriptor& at = tree_.held_directory(directory);
      struct stat status {};
      if (!at || !status_of(at.get(), name, status)) return;
      if (S_ISDIR(status.st_mode))
        throw InjectError(printable(directory + '/' + name),
                          "the image has a directory where a file is to go",
                          "choose another place with --dest");
      journal_.changes.back().existed = true;
    };
    for (const Entry& e : plan.entries) note(e.directory, e.name);
    for (const std::string& path : guarded)
      note(std::string(parent_of(path)), std::string(base_of(path)));
    guards_from_ = plan.entries.size();

    for (const char* name : {own_.c_str(), kept_.c_str()})
      if (!tree_.has_directory(name)) journal_.directories.emplace_back(name);
    const std::size_t ours = journal_.directories.size();
    for (const NewDirectory& d : plan.directories) journal_.directories.push_back(d.path);
    const std::size_t made = journal_.directories.size();
    for (const std::string& path : guarded)
      if (const std::string above(parent_of(path)); !tree_.has_directory(above))
        journal_.directories.push_back(above);  // somebody else may make it
    note_closed_directories();

    state_ = State::changing;
    for (const Journal::Opened& o : journal_.opened)
      if (o.path == parent_of(own_) || o.path == own_) open_up(o);
    if (!tree_.has_directory(own_)) make_directory(own_);
    write_journal(journal_);
    for (const Journal::Opened& o : journal_.opened) open_up(o);
    for (std::size_t i = 0; i < made; ++i)
      if (i >= ours || journal_.directories[i] != own_) make_directory(journal_.directories[i]);
    for (std::size_t i = guards_from_; i < journal_.changes.size(); ++i)
      if (journal_.changes[i].existed) keep(journal_.changes[i], Keep::fresh);
  }

  /// Carries out the entries from `first` to before `last`: makes everything new under names
  /// of our own, which is slow and changes nothing that counts, then puts it in its place.
  void put(const InjectionPlan& plan, std::size_t first, std::size_t last) {
    std::vector<std::pair<std::size_t, int>> copies;  // entries, and their directories
    for (std::size_t i = first; i < last; ++i) {
      check_stop();
      const Journal::Change& c = journal_.changes[i];
      if (std::holds_alternative<action::Copy>(plan.entries[i].action))
        copies.emplace_back(i, directory(c.directory));
      else if (new_link(plan.entries[i], c) == nullptr)
        std::visit(Stage{*this, c, directory(c.directory)}, plan.entries[i].action);
    }
    in_parallel(copies.size(), [&](std::size_t k) {
      check_stop();
      const auto [i, at] = copies[k];
      std::visit(Stage{*this, journal_.changes[i], at}, plan.entries[i].action);
    });
    for (std::size_t i = first; i < last; ++i) {
      check_stop();
      const Journal::Change& c = journal_.changes[i];
      const std::string path = c.directory + '/' + c.name;
      const int at = directory(c.directory);
      if (c.existed) keep(c, Keep::shared);
      if (const auto* link = new_link(plan.entries[i], c))
        make_link(link->target, at, c.name, path);
      else if (std::holds_alternative<action::Erase>(plan.entries[i].action))
        remove_name(at, c.name, path);
      else if (::renameat(at, c.staged_name().c_str(), at, c.name.c_str()) != 0)
        throw_errno("replace", path);
    }
  }

  /// Puts a guarded file back as it was before.
  void put_back(const std::string& path) {
    for (std::size_t i = guards_from_; i < journal_.changes.size(); ++i)
      if (journal_.changes[i].directory + '/' + journal_.changes[i].name == path)
        undo_change(tree_, journal_.changes[i]);
  }

  /// Decides: from here on nothing is undone. `keep_originals` are numbers to keep,
  /// `unneeded` older ones to drop; `directories` are removed if they are empty.
  void commit(const std::vector<std::uint64_t>& keep_originals, std::vector<std::uint64_t> unneeded,
              std::vector<std::string> directories) {
    check_stop();
    for (const Journal::Change& c : journal_.changes)
      if (c.existed &&
          std::find(keep_originals.begin(), keep_originals.end(), c.number) == keep_originals.end())
        unneeded.push_back(c.number);
    Journal decided;  // what to undo is of no interest any more
    decided.decided = true;
    decided.opened = journal_.opened;
    decided.unneeded = std::move(unneeded);
    decided.unneeded_directories = std::move(directories);
    decided.unneeded_directories.push_back(kept_);
    write_journal(decided);
    state_ = State::decided;
    try {
      clear(tree_, decided);
    } catch (const InjectError&) {
      // All is injected; only what is no longer needed lies around until the next run.
    }
  }

 private:
  enum class State { idle, changing, decided };

  struct Stage {
    Transaction& t;
    const Journal::Change& c;
    int at;
    [[nodiscard]] std::string path() const { return c.directory + '/' + c.name; }
    void operator()(const action::Copy& a) const {
      const Descriptor from(::open(a.source.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
      if (!from) throw_errno("read", a.source);
      copy_file(from, at, c.staged_name(), path());
    }
    void operator()(const action::Link& a) const {
      make_link(a.target, at, c.staged_name(), path());
    }
    void operator()(const action::Text& a) const {
      write_file(a.content, at, c.staged_name(), 0644, path());
    }
    void operator()(const action::Restore& a) const {
      keep_file(t.directory(t.kept_), std::to_string(a.original), at, c.staged_name(), path());
    }
    void operator()(const action::Erase&) const {}
  };

  /// The link that `e` makes where there was nothing: that is whole at once, and not staged.
  static const action::Link* new_link(const Entry& e, const Journal::Change& c) {
    return c.existed ? nullptr : std::get_if<action::Link>(&e.action);
  }
  void check_stop() const {
    if (stop_ != nullptr && stop_->load()) throw InjectError({}, "interrupted", {}, EINTR);
  }
  [[nodiscard]] int directory(const std::string& path) const {
    const Descriptor& held = tree_.held_directory(path);
    if (!held) throw_errno("open directory of the image", path, ENOENT);
    return held.get();
  }
  void keep(const Journal::Change& c, Keep how) {
    keep_file(directory(c.directory), c.name, directory(kept_), std::to_string(c.number),
              c.directory + '/' + c.name, how);
  }
  void make_directory(const std::string& path) {
    const int above = directory(std::string(parent_of(path)));
    const std::string name(base_of(path));
    if (::mkdirat(above, name.c_str(), 0755) != 0 && errno != EEXIST)
      throw_errno("make directory", path);
    if (!tree_.has_directory(path)) throw_errno("make directory", path, ENOTDIR);
  }

  /// Our own directories that we may not write to: packages like theirs read-only.
  void note_closed_directories() {
    std::vector<std::string> touched = {own_, kept_, std::string(parent_of(own_))};
    for (const Journal::Change& c : journal_.changes) touched.push_back(c.directory);
    for (const std::string& made : journal_.directories) touched.emplace_back(parent_of(made));
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    for (const std::string& path : touched) {
      const Descriptor fd = tree_.try_open_directory(path);
      if (!fd) continue;
      const struct stat status = status_of(fd, path);
      if ((status.st_mode & 0300) != 0300 && status.st_uid == ::geteuid() && ::geteuid() != 0)
        journal_.opened.push_back({path, status.st_mode & 07777});
    }
  }
  void open_up(const Journal::Opened& o) {
    if (::fchmod(directory(o.path), o.mode | 0700) != 0) throw_errno("make writable", o.path);
  }

  void write_journal(const Journal& journal) const {
    const int own = directory(own_);
    const std::string staged = std::string(journal_name) + ".new";
    const std::string path = own_ + '/' + journal_name;
    remove_name(own, staged, path);
    write_file(to_text(journal), own, staged, 0600, path);
    if (::renameat(own, staged.c_str(), own, journal_name) != 0) throw_errno("write", path);
  }

  static void undo_change(const ImageTree& tree, const Journal::Change& c) {
    const Descriptor at = tree.try_open_directory(c.directory);
    if (!at) return;
    const std::string path = c.directory + '/' + c.name;
    remove_name(at.get(), c.staged_name(), path);
    if (!c.existed) {
      remove_name(at.get(), c.name, path);
      return;
    }
    const std::string kept_path = tree.locate(own_directory) + '/' + kept_name;
    const Descriptor kept = tree.try_open_directory(kept_path);
    const std::string number = std::to_string(c.number);
    struct stat status {};
    if (!kept || !status_of(kept.get(), number, status)) return;  // not yet touched
    if (::renameat(kept.get(), number.c_str(), at.get(), c.name.c_str()) != 0) {
      if (errno != EXDEV) throw_errno("put back", path);
      keep_file(kept.get(), number, at.get(), c.staged_name(), path);
      if (::renameat(at.get(), c.staged_name().c_str(), at.get(), c.name.c_str()) != 0)
        throw_errno("put back", path);
    }
    remove_name(kept.get(), number, path);  // rename leaves it if both were the same file
  }

  static void undo(const ImageTree& tree, const Journal& journal) {
    for (auto c = journal.changes.rbegin(); c != journal.changes.rend(); ++c) undo_change(tree, *c);
    finish(tree, journal, journal.directories);
  }

  /// Clears away what a decided injection no longer needs.
  static void clear(const ImageTree& tree, const Journal& journal) {
    const std::string path = tree.locate(own_directory) + '/' + kept_name;
    if (const Descriptor kept = tree.try_open_directory(path))
      for (const std::uint64_t n : journal.unneeded)
        remove_name(kept.get(), std::to_string(n), path);
    finish(tree, journal, journal.unneeded_directories);
  }

  /// Removes the journal and `directories` (children last in the list) if they are empty,
  /// and gives directories their modes back.
  static void finish(const ImageTree& tree, const Journal& journal,
                     const std::vector<std::string>& directories) {
    const std::string own = tree.locate(own_directory);
    std::vector<std::string> left;
    const auto remove = [&tree](const std::string& path) {
      const Descriptor above = tree.try_open_directory(std::string(parent_of(path)));
      if (above) (void)::unlinkat(above.get(), std::string(base_of(path)).c_str(), AT_REMOVEDIR);
    };
    for (auto d = directories.rbegin(); d != directories.rend(); ++d)
      if (*d != own) remove(*d);
    for (const Journal::Opened& o : journal.opened)
      if (o.path != own)
        if (const Descriptor fd = tree.try_open_directory(o.path))
          if (o.path != parent_of(own)) (void)::fchmod(fd.get(), o.mode);
    if (const Descriptor fd = tree.try_open_directory(own)) {
      remove_name(fd.get(), std::string(journal_name) + ".new", own);
      remove_name(fd.get(), journal_name, own);
    }
    if (std::find(directories.begin(), directories.end(), own) != directories.end()) remove(own);
    for (const Journal::Opened& o : journal.opened)
      if (o.path == own || o.path == parent_of(own))
        if (const Descriptor fd = tree.try_open_directory(o.path)) (void)::fchmod(fd.get(), o.mode);
  }

  const ImageTree& tree_;
  const std::atomic<bool>* stop_;
  std::string own_, kept_;
  State state_ = State::idle;
  Journal journal_;
  std::size_t guards_from_ = 0;
};

}  // namespace ch::inject
