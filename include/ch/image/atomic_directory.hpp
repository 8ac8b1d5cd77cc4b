// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. A directory that appears under its name complete or not at all. It grows in
// "PARENT/.ch-tar2dir.NAME", closed to others, and is renamed at the end. The name of
// that folder is fixed, so two unpacks to one place meet there; a lock on it, which the
// kernel drops when its holder dies, tells a running one from a leftover.
// Source: man 2 renameat2, flock.
#pragma once

#include <linux/fs.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include <cstdlib>
#include <memory>

#include "ch/image/member_path.hpp"
#include "ch/image/options.hpp"
#include "ch/image/remove_tree.hpp"

namespace ch::images {

/// What is under the final name before we start.
enum class Before { nothing, empty_directory, image };

/// Is this directory an image? It has our mark, or bin, dev and usr as any root has.
[[nodiscard]] inline bool looks_like_image(int directory) {
  struct stat status {};
  if (status_of(directory, "ch", status) && S_ISDIR(status.st_mode) &&
      status_of(directory, "ch/unpacked.json", status))
    return true;
  for (const char* name : {"bin", "dev", "usr"})
    if (!status_of(directory, name, status) || S_ISREG(status.st_mode)) return false;
  return true;
}

/// Was it made with --subids? Then its files are not all the caller's.
[[nodiscard]] inline bool has_several_owners(int directory) {
  const Descriptor mark(::openat(directory, "ch/unpacked.json", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  char text[4096];
  const ssize_t n = mark ? ::read(mark.get(), text, sizeof text) : 0;
  return n > 0 &&
         std::string_view(text, static_cast<std::size_t>(n)).find(R"("owners": "several")") !=
             std::string_view::npos;
}

class AtomicDirectory {
 public:
  /// Takes the place beside `destination`. Throws refused if something is there that may
  /// not be replaced, or if another process is unpacking to the same name.
  AtomicDirectory(const std::string& destination, Replace replace) : destination_(destination) {
    std::string trimmed = destination;
    while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
    const std::size_t slash = trimmed.rfind('/');
    name_ = slash == std::string::npos ? trimmed : trimmed.substr(slash + 1);
    parent_path_ = slash == std::string::npos ? "." : slash == 0 ? "/" : trimmed.substr(0, slash);
    if (name_.empty() || name_ == "." || name_ == "..")
      throw UnpackError(Failure::refused, destination, "this names no new directory",
                        "give the image's own name, such as ./image");
    holder_name_ = ".ch-tar2dir." + name_;
    holder_path_ = parent_path_ + "/" + holder_name_;
    if (holder_name_.size() > max_name)
      throw UnpackError(Failure::refused, destination, "the name is too long");
    parent_ = Descriptor(::open(parent_path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!parent_ && errno == ENOENT)
      throw UnpackError(Failure::system, parent_path_,
                        "there is no such directory to make the image in",
                        "make it: mkdir -p " + parent_path_, ENOENT);
    if (!parent_) throw_errno("open directory", parent_path_);
    before_ = look(replace);
    try {
      take_holder();
      before_ = look(replace);  // again: it may have brought an image back
      if (::mkdirat(holder_.get(), "image", 0700) != 0)
        throw_errno("make directory in", holder_path_);
      tree_ = open_directory(holder_.get(), "image");
    } catch (...) {
      discard();
      throw;
    }
  }
  ~AtomicDirectory() { discard(); }
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;

  [[nodiscard]] Before before() const noexcept { return before_; }
  /// The directory that will have the name.
  [[nodiscard]] int tree() const noexcept { return tree_.get(); }
  /// Path of what could not be removed, for the next run to remove; empty: all is gone.
  [[nodiscard]] const std::string& left_behind() const noexcept { return left_behind_; }

  /// Gives the tree its name; or, if `inner` is not empty, the directory of that name in
  /// it. What was there goes, whole; left_behind() says if it could not be removed. Throws,
  /// and then all is as before.
  void commit(const std::string& inner, Sync sync) {
    if (sync == Sync::before_naming && ::syncfs(holder_.get()) != 0)
      throw_errno("write to the disk below", parent_path_);
    const std::string from = inner.empty() ? "image" : "image/" + inner;
    if (before_ == Before::nothing) {
      if (rename(from, RENAME_NOREPLACE) != 0) {
        if (errno == EEXIST)
          throw UnpackError(Failure::refused, destination_,
                            "someone else made this while we were unpacking");
        throw_errno("rename to", destination_);
      }
    } else {
      replace_with(from);
    }
    if (sync == Sync::before_naming) (void)::fsync(parent_.get());
    discard();
  }

 private:
  /// Which directory a name stands for, however the name comes to change.
  struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(const Identity&) const = default;
  };
  static Identity identity(int parent, const std::string& name) {
    struct stat status {};
    return status_of(parent, name.c_str(), status) ? Identity{status.st_dev, status.st_ino}
                                                   : Identity{};
  }

  /// Exchanges `from` of the holder with what look() has seen under the name. Where that is not
  /// what comes out, since someone who may write the parent has put another directory there, or
  /// something into an empty one, it gets its place back.
  void replace_with(const std::string& from) {
    if (identity(parent_.get(), name_) != seen_) refuse_change();
    const Identity ours = identity(holder_.get(), from);
    if (rename(from, RENAME_EXCHANGE) == 0) {
      if (came_out(from)) return;
      if (rename(from, RENAME_EXCHANGE) != 0 || identity(holder_.get(), from) != ours)
        leave_holder();
      refuse_change();
    }
    if (!lacks_flags(errno)) throw_errno("replace", destination_);
    // No exchange here (NFS, some of FUSE, a filter): there is a moment without an image. Who
    // dies in it leaves "old" and "new", which tells the next run to bring back the old one.
    if (::renameat(holder_.get(), from.c_str(), holder_.get(), "new") != 0 ||
        ::renameat(parent_.get(), name_.c_str(), holder_.get(), "old") != 0)
      throw_errno("replace", destination_);
    if (!came_out("old")) {
      if (rename("old", RENAME_NOREPLACE) != 0) leave_holder();
      refuse_change();
    }
    if (rename("new", RENAME_NOREPLACE) != 0) {
      const int why = errno;
      if (rename("old", RENAME_NOREPLACE) != 0) leave_holder();
      throw_errno("replace", destination_, why);
    }
  }
  [[nodiscard]] bool came_out(const std::string& name) const {
    return identity(holder_.get(), name) == seen_ &&
           (before_ != Before::empty_directory ||
            is_empty(open_directory(holder_.get(), name.c_str()).get()));
  }
  [[noreturn]] void refuse_change() const {
    throw UnpackError(Failure::refused, destination_,
                      "someone else changed what is there while we were unpacking");
  }
  /// What is in the holder is not ours to remove.
  [[noreturn]] void leave_holder() {
    holder_.reset();
    throw UnpackError(Failure::refused, destination_,
                      "someone else changed what is there while we were unpacking",
                      "what was there, or the new image, is in " + holder_path_);
  }

  /// Does renameat2 fail for want of flags? A filter of an outer container says EPERM; so does
  /// the kernel of names that may not be changed, but then it says so again without flags.
  static bool lacks_flags(int error) noexcept {
    return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP || error == EPERM;
  }
  int rename(const std::string& from, unsigned flags) const {
    if (::syscall(SYS_renameat2, holder_.get(), from.c_str(), parent_.get(), name_.c_str(),
                  flags) == 0)
      return 0;
    // A file system or filter without flags: NOREPLACE can be had by looking first, as
    // rename itself replaces nothing but an empty directory.
    if (flags != RENAME_NOREPLACE || !lacks_flags(errno)) return -1;
    struct stat status {};
    if (status_of(parent_.get(), name_.c_str(), status)) {
      errno = EEXIST;
      return -1;
    }
    return ::renameat(holder_.get(), from.c_str(), parent_.get(), name_.c_str());
  }

  /// What is under the name, and which directory that is.
  Before look(Replace replace) {
    struct stat status {};
    if (!status_of(parent_.get(), name_.c_str(), status)) return Before::nothing;
    seen_ = {status.st_dev, status.st_ino};
    const auto refuse = [&](std::string cause) {
      return UnpackError(Failure::refused, destination_, std::move(cause),
                         "choose another name, or remove what is there yourself");
    };
    if (!S_ISDIR(status.st_mode))
      throw refuse(S_ISLNK(status.st_mode) ? "this is a link; we replace no links"
                                           : "this exists and is not a directory");
    if (status.st_uid != ::geteuid() && ::geteuid() != 0)
      throw refuse("this exists and belongs to another user");
    const Descriptor there = open_directory(parent_.get(), name_.c_str());
    if (identity(there.get(), ".") != seen_) refuse_change();
    if (is_empty(there.get())) return Before::empty_directory;
    if (has_several_owners(there.get()) && ::geteuid() != 0)
      throw UnpackError(Failure::refused, destination_,
                        "this image has files of several owners, which you can't remove like this",
                        "replace it with --subids, as it was made, or choose another name");
    if (replace == Replace::anything || looks_like_image(there.get())) return Before::image;
    throw UnpackError(Failure::refused, destination_,
                      "this exists but does not appear to be an image",
                      "choose another name, or replace it with --force");
  }

  /// Makes the holder, or takes over one that nobody holds, and locks it.
  void take_holder() {
    for (int tries = 0; tries < 100; ++tries) {
      const bool made = ::mkdirat(parent_.get(), holder_name_.c_str(), 0700) == 0;
      if (!made && errno != EEXIST) throw_errno("make directory in", parent_path_);
      Descriptor fd(::openat(parent_.get(), holder_name_.c_str(),
                             O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!fd && errno == ENOENT) continue;  // its owner finished just now
      if (!fd) {
        const int why = errno;
        if (made) (void)::unlinkat(parent_.get(), holder_name_.c_str(), AT_REMOVEDIR);
        throw_errno("open directory", holder_path_, why);
      }
      if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
          throw UnpackError(Failure::refused, destination_,
                            "another process is unpacking to this name right now",
                            "wait for it to end");
        if (!made)  // no locks here (some network file systems): can't tell if it is alive
          throw UnpackError(Failure::refused, holder_path_,
                            "this is of another unpacking, which may still be running",
                            "if it is not, remove this directory");
      }
      struct stat ours {
      }, named{};
      if (::fstat(fd.get(), &ours) != 0) throw_errno("look at", holder_name_);
      if (!status_of(parent_.get(), holder_name_.c_str(), named) || named.st_ino != ours.st_ino ||
          named.st_dev != ours.st_dev)
        continue;  // it was removed between our open and our lock
      if (ours.st_uid != ::geteuid())
        throw UnpackError(Failure::refused, holder_path_,
                          "this temporary directory belongs to another user");
      holder_ = std::move(fd);
      if (!made) take_over();
      if (::fchmod(holder_.get(), 0700) != 0) throw_errno("set the mode of", holder_name_);
      return;
    }
    throw UnpackError(Failure::refused, destination_, "others unpack to this name all the time");
  }

  /// Puts in order what another run has left in the holder.
  void take_over() {
    try {
      bring_back();
      clear_holder();
    } catch (...) {
      holder_.reset();  // nothing in it is ours to discard
      throw;
    }
  }

  /// Undoes a replacement whose process died between its two renames. Refuses a directory
  /// that is no holder: whoever may write the parent can give one of ours this name.
  void bring_back() const {
    for (const std::string& left : names_in(holder_.get()))
      if (left != "image" && left != "old" && left != "new")
        throw UnpackError(Failure::refused, holder_path_,
                          "this has the name of our temporary directory, but contains " + left,
                          "rename it, or choose another name for the image");
    struct stat status {};
    if (!status_of(holder_.get(), "old", status) || !status_of(holder_.get(), "new", status))
      return;
    if (status_of(parent_.get(), name_.c_str(), status))
      throw UnpackError(
          Failure::refused, destination_,
          "an image of this name was set aside by a run that died: " + holder_path_ + "/old",
          "move one of the two to another name");
    if (rename("old", RENAME_NOREPLACE) != 0)
      throw_errno("bring back the image that a run that died has set aside in", holder_path_);
  }

  /// Removes what a run that died has left.
  void clear_holder() const {
    try {
      for (const std::string& left : names_in(holder_.get())) remove_tree(holder_.get(), left);
    } catch (const UnpackError& e) {
      if (e.code() != EACCES && e.code() != EPERM) throw;
      throw UnpackError(Failure::refused, holder_path_,
                        "this is left from another run, and we may not remove it: " + e.cause(),
                        "if that run was made with --subids, add it here; else remove this",
                        e.code());
    }
  }

  /// Removes holder and content; on failure leaves the rest to the next run.
  void discard() noexcept {
    if (!holder_) return;
    tree_.reset();
    for_cleaning_.reset();
    try {
      for (const std::string& left : names_in(holder_.get())) remove_tree(holder_.get(), left);
    } catch (...) {
    }
    const bool gone =
        ::unlinkat(parent_.get(), holder_name_.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT;
    if (!gone) left_behind_.swap(holder_path_);
    holder_.reset();
  }

  std::string destination_, parent_path_, name_, holder_name_, holder_path_, left_behind_;
  Descriptor parent_, holder_, tree_;
  Before before_ = Before::nothing;
  Identity seen_{};  // what look() has seen, if anything
  // So that there is memory to clean up with, also where the lack of it is why.
  std::unique_ptr<char[]> for_cleaning_ = std::make_unique_for_overwrite<char[]>(256 * 1024);
};

}  // namespace ch::images
