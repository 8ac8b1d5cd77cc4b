// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. Changes an image all or nothing. New files are staged next to their destinations, what
// they replace is set aside in ch/injected.d, and then names are exchanged one by one. Until
// commit() has decided, everything can be undone: by us if something fails, by the next run if we
// were killed. This does not hold for power failures: only copies of originals are synced.
// Source: man 2 rename.
#pragma once

#include <atomic>
#include <memory>
#include <new>

#include "ch/inject/injection_plan.hpp"
#include "ch/inject/journal.hpp"
#include "ch/inject/undo.hpp"
#include "ch/io/in_parallel.hpp"
#include "ch/types/text.hpp"

namespace ch::injection {

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
      (void)undo::revert_all(tree_, journal_);
    } catch (const std::exception&) {
      // The journal is still there, and so the next run tries again.
    }
  }

  /// Undoes everything because of `why`, and throws that, with a note of what is left behind, if
  /// anything.
  [[noreturn]] void roll_back(const io::Failed& why) {
    if (std::exchange(state_, State::idle) != State::changing) throw why;
    std::string left;
    try {
      for (const std::string& path : undo::revert_all(tree_, journal_))
        left += ' ' + io::printable(path);
    } catch (const std::exception& e) {
      throw io::Failed(why.path(),
                       why.cause() + "; and it can't be undone now (" + cause_of(e) + ")",
                       "the image is half changed: once the cause is gone, taking out what was "
                       "injected first restores it",
                       why.code())
          .with_kind(Remedy::take_out);
    }
    if (left.empty()) throw why;
    throw io::Failed(why.path(), why.cause() + "; empty directories are left:" + left, why.remedy(),
                     why.code());
  }

  /// Undoes or completes what a killed run left. True if there was anything.
  static bool recover(const ImageTree& tree) { return undo::recover(tree); }

  /// The number under which the original of the `index`-th entry is kept.
  [[nodiscard]] std::uint64_t number(std::size_t index) const {
    return journal_.changes.at(index).number;
  }
  [[nodiscard]] bool existed(std::size_t index) const { return journal_.changes.at(index).existed; }
  /// Was `directory` missing when this began?
  [[nodiscard]] bool made(const std::string& directory) const {
    const auto& all = journal_.directories;
    return std::find(all.begin(), all.end(), directory) != all.end();
  }

  /// Examines what is there, and writes the journal: the first change to the image. `guarded` are
  /// files that another program will rewrite; they are restored if this fails.
  void begin(const InjectionPlan& plan, const std::vector<std::string>& guarded) {
    std::uint64_t next = 1;
    if (const io::Descriptor kept = tree_.try_open_directory(kept_))
      for (const std::string& name : io::names_in(kept.get(), kept_))
        if (std::uint64_t n = 0; parse_number(name, ~std::uint64_t{0} >> 1, n))
          next = std::max(next, n + 1);
    const auto note = [&](const std::string& directory, const std::string& name,
                          std::uint64_t restores = 0) {
      journal_.changes.push_back({directory, name, next++, false, restores});
      struct stat kept {};
      if (restores != 0 && !io::status_of(this->directory(kept_), std::to_string(restores), kept))
        throw io::Failed(io::printable(directory + '/' + name),
                         "the original of this file is gone from " + io::printable(kept_),
                         "unpack the image again");
      const io::Descriptor& at = tree_.held_directory(directory);
      struct stat status {};
      if (!at || !io::status_of(at.get(), name, status)) return;
      if (S_ISDIR(status.st_mode))
        throw io::Failed(io::printable(directory + '/' + name),
                         "the image has a directory where a file should go", "choose another place")
            .with_kind(Remedy::choose_place);
      journal_.changes.back().existed = true;
    };
    for (const Entry& e : plan.entries) {
      const auto* back = std::get_if<action::Restore>(&e.action);
      note(e.directory, e.name, back != nullptr ? back->original : 0);
    }
    for (const std::string& path : guarded)
      note(std::string(io::parent_of(path)), std::string(io::base_of(path)));
    first_guarded_ = plan.entries.size();

    for (const char* name : {own_.c_str(), kept_.c_str()})
      if (!tree_.has_directory(name)) journal_.directories.emplace_back(name);
    const std::size_t ours = journal_.directories.size();
    for (const NewDirectory& d : plan.directories) journal_.directories.push_back(d.path);
    const std::size_t made = journal_.directories.size();
    for (const std::string& path : guarded)
      if (const std::string above(io::parent_of(path)); !tree_.has_directory(above))
        journal_.directories.push_back(above);  // the other program may make it
    note_unwritable_directories();

    state_ = State::changing;
    first_change();
    for (const Journal::Opened& o : journal_.opened) make_writable(o);
    for (std::size_t i = 0; i < made; ++i)
      if (i >= ours || journal_.directories[i] != own_) make_directory(journal_.directories[i]);
    for (std::size_t i = first_guarded_; i < journal_.changes.size(); ++i)
      if (journal_.changes[i].existed) keep(journal_.changes[i], Keep::fresh);
  }

  /// Carries out the entries from `first` to before `last`: creates everything new under temporary
  /// names, which is slow but changes nothing visible, then renames it into place.
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
    io::in_parallel(copies.size(), [&](std::size_t k) {
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
        io::make_link(link->target, at, c.name, path);
      else if (std::holds_alternative<action::Erase>(plan.entries[i].action))
        io::remove_name(at, c.name, path);
      else if (const auto* back = std::get_if<action::Restore>(&plan.entries[i].action))
        move_original({directory(kept_), std::to_string(back->original)}, {at, c.name},
                      c.staged_name(), path);
      else if (::renameat(at, c.staged_name().c_str(), at, c.name.c_str()) != 0)
        io::throw_errno("replace", path);
    }
  }

  /// Restores a guarded file.
  void put_back(const std::string& path) {
    for (std::size_t i = first_guarded_; i < journal_.changes.size(); ++i)
      if (journal_.changes[i].directory + '/' + journal_.changes[i].name == path)
        undo::revert_change(tree_, journal_.changes[i]);
  }

  /// Decides: from here on nothing is undone. `keep_originals` are the numbers to keep, `unneeded`
  /// older ones to remove; `directories` are removed if they are empty. Returns warnings about what
  /// is left behind.
  [[nodiscard]] std::vector<std::string> commit(const std::vector<std::uint64_t>& keep_originals,
                                                std::vector<std::uint64_t> unneeded,
                                                std::vector<std::string> directories) {
    check_stop();
    for (const Journal::Change& c : journal_.changes)
      if (c.existed &&
          std::find(keep_originals.begin(), keep_originals.end(), c.number) == keep_originals.end())
        unneeded.push_back(c.number);
    Journal decided;  // there is nothing to undo any more
    decided.decided = true;
    decided.opened = journal_.opened;
    decided.unneeded = std::move(unneeded);
    decided.unneeded_directories = std::move(directories);
    decided.unneeded_directories.push_back(kept_);
    write_journal(decided);
    state_ = State::decided;
    std::vector<std::string> warnings;
    const std::string temporary = undo::temporary_name(own_);
    constexpr const char* next_time = "; the next ch-fromhost on this image removes ";
    try {
      for (const std::string& path : undo::clean_up(tree_, decided))
        if (path == own_)
          warnings.push_back(io::printable(path) + " is left, empty; it can be removed by hand");
        else if (path == temporary)
          warnings.push_back(io::printable(path) + " is left, empty" + next_time + "it");
        else
          warnings.push_back(io::printable(path) + " is left, empty, and " + io::printable(own_) +
                             '/' + journal_name + ", which says so" + next_time + "both");
    } catch (const std::exception& e) {
      warnings.push_back("what is no longer needed is left in " +
                         io::printable(is_there(temporary) ? temporary : own_) + " (" +
                         cause_of(e) + ')' + next_time + "it");
    }
    return warnings;
  }

 private:
  enum class State { idle, changing, decided };

  struct Stage {
    Transaction& t;
    const Journal::Change& c;
    int at;
    [[nodiscard]] std::string path() const { return c.directory + '/' + c.name; }
    void operator()(const action::Copy& a) const {
      const io::Descriptor from(::open(a.source.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
      if (!from) io::throw_errno("read", a.source);
      if (identity_of(io::status_of(from, a.source)) != a.identity)
        throw io::Failed(io::printable(a.source),
                         "this is no longer the file that was looked at a moment ago",
                         "wait until nothing changes it; check who may write to its directory");
      copy_file(from, at, c.staged_name(), path());
    }
    void operator()(const action::Link& a) const {
      io::make_link(a.target, at, c.staged_name(), path());
    }
    void operator()(const action::Text& a) const {
      io::write_file(a.content, at, c.staged_name(), 0644, path());
    }
    void operator()(const action::Restore&) const {}
    void operator()(const action::Erase&) const {}
  };

  /// The link that `e` makes where there was nothing: it is created atomically, so it is not
  /// staged.
  static const action::Link* new_link(const Entry& e, const Journal::Change& c) {
    return c.existed ? nullptr : std::get_if<action::Link>(&e.action);
  }
  [[nodiscard]] static std::string cause_of(const std::exception& e) {
    return dynamic_cast<const std::bad_alloc*>(&e) != nullptr ? "out of memory" : e.what();
  }
  [[nodiscard]] bool is_there(const std::string& directory) const {
    try {
      return tree_.has_directory(directory);
    } catch (const io::Failed&) {
      return false;
    }
  }
  void check_stop() const {
    if (stop_ != nullptr && stop_->load()) throw io::interrupted();
  }
  [[nodiscard]] int directory(const std::string& path) const {
    const io::Descriptor& held = tree_.held_directory(path);
    if (!held) io::throw_errno("open directory of the image", path, ENOENT);
    return held.get();
  }
  void keep(const Journal::Change& c, Keep how) {
    keep_original({directory(c.directory), c.name}, {directory(kept_), std::to_string(c.number)},
                  c.directory + '/' + c.name, how);
  }
  void make_directory(const std::string& path) {
    const int above = directory(std::string(io::parent_of(path)));
    const std::string name(io::base_of(path));
    if (::mkdirat(above, name.c_str(), 0755) != 0 && errno != EEXIST)
      io::throw_errno("make directory", path);
    if (!tree_.has_directory(path)) io::throw_errno("make directory", path, ENOTDIR);
  }

  /// Notes directories that are ours but lack write permission, as those of some packages do.
  void note_unwritable_directories() {
    std::vector<std::string> touched = {own_, kept_, std::string(io::parent_of(own_))};
    for (const Journal::Change& c : journal_.changes) touched.push_back(c.directory);
    for (const std::string& made : journal_.directories) touched.emplace_back(io::parent_of(made));
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    for (const std::string& path : touched) {
      const io::Descriptor fd = tree_.try_open_directory(path);
      if (!fd) continue;
      const struct stat status = io::status_of(fd, path);
      if ((status.st_mode & 0300) != 0300 && status.st_uid == ::geteuid() && ::geteuid() != 0)
        journal_.opened.push_back({path, status.st_mode & 07777});
    }
  }
  void make_writable(const Journal::Opened& o) {
    if (::fchmod(directory(o.path), o.mode | 0700) != 0) io::throw_errno("make writable", o.path);
  }

  void write_journal(const Journal& journal) const { write_journal(journal, own_); }
  void write_journal(const Journal& journal, const std::string& into) const {
    io::replace_file(to_text(journal), directory(into), journal_name, 0600,
                     into + '/' + journal_name);
  }

  /// Makes the first change, which shows whether the image is writable at all.
  void first_change() {
    try {
      for (const Journal::Opened& o : journal_.opened)
        if (o.path == io::parent_of(own_) || o.path == own_) make_writable(o);
      begin_journal();
    } catch (const io::Failed& e) {
      if (e.code() != EROFS && e.code() != EACCES && e.code() != EPERM) throw;
      throw io::Failed(io::printable(tree_.path()),
                       "can't write to the image (" + io::errno_text(e.code()) + ")", e.remedy(),
                       e.code());
    }
  }

  void begin_journal() {
    if (tree_.has_directory(own_)) return write_journal(journal_);
    const std::string temporary = undo::temporary_name(own_);
    make_directory(temporary);
    write_journal(journal_, temporary);
    const int above = directory(std::string(io::parent_of(own_)));
    const std::string name(io::base_of(own_));
    if (::renameat(above, io::base_of(temporary).data(), above, name.c_str()) != 0)
      io::throw_errno("make directory", own_);
  }

  const ImageTree& tree_;
  const std::atomic<bool>* stop_;
  std::string own_, kept_;
  State state_ = State::idle;
  Journal journal_;
  std::size_t first_guarded_ = 0;
};

}  // namespace ch::injection
