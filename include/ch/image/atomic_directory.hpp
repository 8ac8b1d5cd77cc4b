// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. A directory that appears under its name complete or not at all. It grows in
// "PARENT/.ch-tar2dir.NAME", closed to others, and is renamed at the end. Concurrent runs to one
// place meet there: a lock on it, which the kernel drops when its owner dies, tells a running one
// from a leftover. A run for the same image waits. man 2 renameat2, flock.
#pragma once

#include <sys/file.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>

#include "ch/image/destination.hpp"
#include "ch/image/existing_target.hpp"
#include "ch/image/left_over.hpp"
#include "ch/image/listing.hpp"
#include "ch/image/renaming.hpp"

namespace ch::images {

class AtomicDirectory {
 public:
  /// Takes the temporary directory beside `destination`, or waits for another run that makes the
  /// same image there. Throws refused if what is there may not be replaced, or if another process
  /// is unpacking something else to the same name; and interrupted. `users` finds the users of an
  /// image, in case this process can't see them itself.
  AtomicDirectory(const std::string& destination, Replace replace, const OtherRuns& other_runs = {},
                  UsersOf users = users_of)
      : AtomicDirectory(destination, DestinationNames(destination), std::move(users)) {
    require_descriptors(parent_.get(), needed_descriptors);
    (void)examine_target(parent_.get(), name_, destination_, replace);  // before we wait for others
    take_holder(other_runs);
    if (made_by_another_) return;
    there_ = examine_target(parent_.get(), name_, destination_, replace);
    if (::mkdirat(holder_.get(), "image", 0700) != 0) {
      if (errno == EEXIST) throw_taken_over();
      io::throw_errno("make directory in", holder_path_);
    }
    tree_ = io::open_directory(holder_.get(), "image");
  }
  ~AtomicDirectory() { discard(); }
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;

  /// The report of another run that made the same image meanwhile; then there is no tree().
  [[nodiscard]] const std::optional<UnpackReport>& made_by_another() const noexcept {
    return made_by_another_;
  }
  [[nodiscard]] Before before() const noexcept { return there_.before; }
  /// The directory that will have the name.
  [[nodiscard]] int tree() const noexcept { return tree_.get(); }

  /// Renames the tree, or the directory in it that enclosed everything if the report names one, to
  /// its final name. What was there is removed, or if containers use it renamed, as the report then
  /// says; also what could not be removed. If it throws, nothing has changed.
  void commit(UnpackReport& report, Sync sync) {
    if (sync == Sync::before_naming && ::syncfs(holder_.get()) != 0)
      io::throw_errno("write to the disk below", parent_path_);
    if (is_taken_over()) throw_taken_over();
    const std::string& inner = report.stripped_directory;
    const std::string from = inner.empty() ? "image" : "image/" + inner;
    const io::Identity ours = io::identity(holder_.get(), from);
    std::string old;
    if (there_.before == Before::nothing) {
      if (rename(from, RENAME_NOREPLACE) != 0) {
        if (errno == EEXIST)
          throw io::Failed(io::Reason::refused, destination_,
                           "another process made this while we were unpacking");
        io::throw_errno("rename to", destination_);
      }
    } else {
      old = replace_with(from);
    }
    named_ = true;
    if (sync == Sync::before_naming) (void)::fsync(parent_.get());
    record_.finish(ours.inode, report);
    if (there_.before == Before::image) keep_if_used(old, report);
    discard();
    report.left_behind = left_behind_;
  }

 private:
  AtomicDirectory(const std::string& destination, const DestinationNames& names, UsersOf users)
      : destination_(destination),
        parent_path_(names.parent),
        name_(names.name),
        holder_name_(names.holder),
        holder_path_(names.holder_path()),
        parent_(names.open_parent()),
        users_(std::move(users)) {}

  // For the work here and in the child, and to clean up if it fails.
  static constexpr std::size_t needed_descriptors = 24;

  /// Exchanges `from` in the holder with what examine_target() found under the name. If something
  /// else comes out, since another process replaced or filled it, puts that back. Returns the name
  /// in the holder of what came out.
  std::string replace_with(const std::string& from) {
    if (io::identity(parent_.get(), name_) != there_.directory)
      throw changed_meanwhile(destination_);
    const io::Identity ours = io::identity(holder_.get(), from);
    if (rename(from, RENAME_EXCHANGE) == 0) {
      check(from, [&] {
        return rename(from, RENAME_EXCHANGE) == 0 && io::identity(holder_.get(), from) == ours;
      });
      return from;
    }
    if (!lacks_flags(errno)) io::throw_errno("replace", destination_);
    // No exchange here (NFS, some FUSE file systems, a seccomp filter): for a moment there is no
    // image. A process that dies then leaves "old" and "new", and the next run restores "old".
    if (::renameat(holder_.get(), from.c_str(), holder_.get(), "new") != 0)
      io::throw_errno("replace", destination_);
    if (from == tree_at_) tree_at_ = "new";
    if (::renameat(parent_.get(), name_.c_str(), holder_.get(), "old") != 0)
      io::throw_errno("replace", destination_);
    check("old", [&] { return rename("old", RENAME_NOREPLACE) == 0; });
    if (rename("new", RENAME_NOREPLACE) != 0) {
      const int why = errno;
      if (rename("old", RENAME_NOREPLACE) != 0) abandon_holder();
      io::throw_errno("replace", destination_, why);
    }
    return "old";
  }
  /// What came out as this name in the holder is removed later, so it must be what examine_target()
  /// found. If it is not, or that can't be determined, it is put back.
  template <class PutBack>
  void check(const std::string& name, PutBack&& put_back) {
    bool known = false;
    try {
      known = is_expected(name);
    } catch (...) {
      if (!put_back()) abandon_holder();
      throw;
    }
    if (known) return;
    if (!put_back()) abandon_holder();
    throw changed_meanwhile(destination_);
  }
  [[nodiscard]] bool is_expected(const std::string& name) const {
    return io::identity(holder_.get(), name) == there_.directory &&
           (there_.before != Before::empty_directory ||
            io::is_empty(io::open_directory(holder_.get(), name.c_str()).get()));
  }
  /// Gives up the holder, since it contains what is not ours to remove.
  [[noreturn]] void abandon_holder() {
    (void)::unlinkat(holder_.get(), WorkRecord::file_name, 0);  // so that the next run refuses it
    holder_.reset();
    throw changed_meanwhile(destination_,
                            "what was there, or the new image, is in " + holder_path_);
  }

  /// The root of running containers must not change, so if the replaced image, `old` in the holder,
  /// is in use, it gets a free name beside the new one.
  void keep_if_used(const std::string& old, UnpackReport& report) {
    std::vector<ImageUser> users;
    bool known = true;
    try {
      const io::Descriptor image = io::open_directory(holder_.get(), old.c_str());
      users = users_(image.get());
    } catch (const std::exception&) {
      known = false;
    }
    if (known && users.empty()) return;
    for (int n = 1; n < 1000; ++n) {
      const std::string kept = name_ + ".old" + (n == 1 ? "" : "." + std::to_string(n));
      if (rename_to(old, kept, RENAME_NOREPLACE) == 0) {
        report.kept = parent_path_ + "/" + kept;
        report.users = std::move(users);
        return;
      }
      if (errno != EEXIST) break;
    }
    const int why = errno;
    // The name keeps the next run from removing it.
    const bool named = ::renameat(holder_.get(), old.c_str(), holder_.get(), kept_name) == 0;
    holder_.reset();
    throw io::Failed(io::Reason::system, destination_,
                     "the new image is there, but the old one, which is used by " + text_of(users) +
                         ", is still in " + holder_path_ + "/" + (named ? kept_name : old) +
                         ", since it can't be renamed: " + std::strerror(why),
                     "move it elsewhere before you unpack to this name again", why);
  }

  int rename(const std::string& from, unsigned flags) const {
    return rename_to(from, name_, flags);
  }
  int rename_to(const std::string& from, const std::string& to, unsigned flags) const {
    return rename_with(holder_.get(), from.c_str(), parent_.get(), to.c_str(), flags);
  }

  /// Removes the empty holder that we made if we get no further; we still hold its lock.
  struct RemoveUnlessUsed {
    const AtomicDirectory& self;
    bool armed;
    ~RemoveUnlessUsed() {
      if (armed) (void)::unlinkat(self.parent_.get(), self.holder_name_.c_str(), AT_REMOVEDIR);
    }
  };

  /// Makes and locks the holder, or takes over one that nobody has locked. Returns without it if
  /// another run made the image meanwhile.
  void take_holder(const OtherRuns& other_runs) {
    for (int tries = 0; tries < 100; ++tries) {
      const bool made = ::mkdirat(parent_.get(), holder_name_.c_str(), 0700) == 0;
      if (!made && errno != EEXIST) throw_no_holder();
      io::Descriptor fd(::openat(parent_.get(), holder_name_.c_str(),
                                 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!fd && errno == ENOENT) continue;  // its owner finished just now
      RemoveUnlessUsed unmake{*this, made};
      if (!fd) io::throw_errno("open directory", holder_path_);
      struct stat ours {};
      if (::fstat(fd.get(), &ours) != 0) io::throw_errno("look at", holder_path_);
      if (ours.st_uid != ::geteuid())
        throw io::Failed(io::Reason::refused, holder_path_,
                         "this temporary directory belongs to another user");
      if (!made) (void)record_.find(fd.get());  // now: it may be gone once we have the lock
      bool waited = false;
      if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        waited = errno == EWOULDBLOCK;
        if (waited)
          wait_for(fd.get(), other_runs);
        else if (!made)  // no locks here (some network file systems)
          throw io::Failed(io::Reason::refused, holder_path_,
                           "this belongs to another ch-tar2dir, which may still be running",
                           "if it is not, remove this directory");
      }
      if (!is_named(fd.get())) {  // its owner ended before our open, or while we waited
        unmake.armed = false;
        if (is_done(other_runs)) return;
        record_ = {};
        continue;
      }
      unmake.armed = false;
      holder_ = std::move(fd);
      if (waited && is_done(other_runs)) {  // it finished and died while cleaning up
        if (keeps_used(holder_.get(), users_)) holder_.reset();
        return discard();
      }
      if (!made) check_left_over();
      if (::fchmod(holder_.get(), 0700) != 0) io::throw_errno("set the mode of", holder_path_);
      record_.begin(holder_.get(), holder_path_, other_runs.work);
      if (!made) clear_holder();
      return;
    }
    throw io::Failed(io::Reason::refused, destination_,
                     "other processes keep unpacking to this name");
  }

  [[noreturn]] void throw_no_holder() const {
    const int why = errno;
    const std::string remedy = io::remedy_for(why);
    throw io::Failed(io::Reason::system, parent_path_,
                     std::string("can't make the image in this directory: ") + std::strerror(why),
                     remedy.empty() ? io::remedy_for(EACCES) : remedy, why);
  }

  [[nodiscard]] bool is_named(int holder) const {
    return io::identity(holder) == io::identity(parent_.get(), holder_name_);
  }

  /// Waits until we get the lock on `holder`, or it no longer has its name. Throws refused if its
  /// work differs.
  void wait_for(int holder, const OtherRuns& other_runs) {
    using namespace std::chrono_literals;
    const auto start = std::chrono::steady_clock::now();
    bool told = false;
    for (auto pause = 1ms;; pause = std::min(pause * 2, 1000ms)) {
      const auto state = record_.find(holder) ? record_.read() : std::nullopt;
      // It takes its lock a moment before it writes its record.
      if (other_runs.work.empty() || (state && state->work != other_runs.work) ||
          (!state && std::chrono::steady_clock::now() - start > 10s))
        throw io::Failed(
            io::Reason::refused, destination_,
            "another process is unpacking to this name right now" +
                std::string(state ? ", from another archive or with other options" : ""),
            "wait for it to end");
      if (state && !std::exchange(told, true) && other_runs.on_wait) other_runs.on_wait();
      std::this_thread::sleep_for(pause);
      if (other_runs.stop != nullptr && other_runs.stop->load()) throw io::interrupted();
      if (::flock(holder, LOCK_EX | LOCK_NB) == 0 || !is_named(holder)) return;
      if (errno != EWOULDBLOCK && errno != EINTR) io::throw_errno("lock", holder_path_);
    }
  }
  /// Has another run done our work, and does the name stand for its result?
  bool is_done(const OtherRuns& other_runs) {
    if (!record_ || other_runs.work.empty()) return false;
    auto state = record_.read();
    if (!state || state->work != other_runs.work || !state->made ||
        *state->made != io::identity(parent_.get(), name_).inode)
      return false;
    made_by_another_ = std::move(state->report);
    made_by_another_->made_by_another = true;
    return true;
  }

  /// Handles what another run left in the holder: restores an image that was set aside, and refuses
  /// what is not ours to remove.
  void check_left_over() {
    try {
      refuse_unless_left_over(holder_.get(), holder_path_);
      bring_back();
      if (keeps_used(holder_.get(), users_)) refuse_unless_left_over(holder_.get(), holder_path_);
    } catch (...) {
      holder_.reset();  // nothing in it is ours to discard
      throw;
    }
  }

  /// Undoes a replacement whose process died between its two renames.
  void bring_back() const {
    struct stat status {};
    if (!io::status_of(holder_.get(), "old", status) ||
        !io::status_of(holder_.get(), "new", status))
      return;
    if (io::status_of(parent_.get(), name_.c_str(), status))
      throw io::Failed(
          io::Reason::refused, destination_,
          "an image of this name was set aside by a run that died: " + holder_path_ + "/old",
          "move one of the two to another name");
    if (rename("old", RENAME_NOREPLACE) != 0)
      io::throw_errno("restore the image that a dead run set aside in", holder_path_);
  }

  /// Removes what a dead run left; on failure the rest stays. A dying child of that run may still
  /// create a file in a directory that we have just emptied.
  void clear_holder() {
    for (int tries = 0;; ++tries) try {
        return remove_trees();
      } catch (const io::Failed& e) {
        if ((e.code() == ENOTEMPTY || e.code() == EEXIST) && tries < 100) {
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
          continue;
        }
        holder_.reset();
        if (e.code() != EACCES && e.code() != EPERM) throw;
        throw io::Failed(io::Reason::refused, holder_path_,
                         "this is left from another run, and we may not remove it: " + e.cause(),
                         "remove this; or unpack as that run did, if its files had several owners",
                         e.code())
            .with_kind(Remedy::keep_owners);
      }
  }

  /// Removes all but the record, which waiting runs have open.
  void remove_trees() const {
    for (const std::string& left : io::names_in(holder_.get()))
      if (left != WorkRecord::file_name) remove_tree(holder_.get(), left);
  }

  /// Has another run put its own tree in place of ours? Where locks are machine-local, a run on
  /// another machine takes our holder for a leftover.
  [[nodiscard]] bool is_taken_over() const noexcept {
    struct stat there {
    }, ours{};
    if (named_ || !tree_) return false;
    if (::fstat(tree_.get(), &ours) != 0) return errno == ESTALE;
    if (::fstatat(holder_.get(), tree_at_, &there, AT_SYMLINK_NOFOLLOW) != 0)
      return errno == ENOENT || errno == ESTALE;
    return ours.st_dev != there.st_dev || ours.st_ino != there.st_ino;
  }
  [[noreturn]] void throw_taken_over() {
    holder_.reset();  // nothing in it is ours
    throw io::Failed(io::Reason::refused, holder_path_,
                     "another ch-tar2dir, which does not see our lock, has taken this over",
                     "unpack to this name on one machine at a time");
  }

  /// Removes the holder and its contents; on failure leaves the rest to the next run.
  void discard() noexcept {
    if (is_taken_over()) holder_.reset();
    if (!holder_) return;
    tree_.reset();
    for_cleaning_.reset();
    try {
      remove_trees();
      (void)::unlinkat(holder_.get(), WorkRecord::file_name, 0);
    } catch (...) {
    }
    const bool gone =
        ::unlinkat(parent_.get(), holder_name_.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT;
    if (!gone) left_behind_.swap(holder_path_);
    holder_.reset();
  }

  std::string destination_, parent_path_, name_, holder_name_, holder_path_, left_behind_;
  io::Descriptor parent_, holder_, tree_;
  ExistingTarget there_;
  bool named_ = false;             // our tree has the name,
  const char* tree_at_ = "image";  // or else this one in the holder
  UsersOf users_;
  WorkRecord record_;
  std::optional<UnpackReport> made_by_another_;
  // Freed before cleaning up, so that there is memory for that.
  std::unique_ptr<char[]> for_cleaning_ = std::make_unique_for_overwrite<char[]>(256 * 1024);
};

}  // namespace ch::images
