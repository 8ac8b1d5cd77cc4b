// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Threads that create files and write their content, while the parser continues with the
// archive. A small file is one job of four system calls: openat, write, futimens, close. Each piece
// of a large file is a job, so that several threads write it. The order of jobs is undefined; to
// impose one, call drain() in between.
// Source: man 2 openat, pwrite, utimensat.
#pragma once

#include <sys/xattr.h>

#include "ch/image/archive_reader.hpp"
#include "ch/image/remove_tree.hpp"

namespace ch::images {

/// A directory of the image, kept open while files are being written in it. Counted.
class OpenDirectory {
 public:
  OpenDirectory(io::Descriptor directory, std::atomic<unsigned>& count)
      : fd(std::move(directory)), count_(count) {
    ++count_;
  }
  ~OpenDirectory() { --count_; }
  OpenDirectory(const OpenDirectory&) = delete;
  OpenDirectory& operator=(const OpenDirectory&) = delete;
  const io::Descriptor fd;

 private:
  std::atomic<unsigned>& count_;
};
using SharedDirectory = std::shared_ptr<const OpenDirectory>;

/// A file to create: where, and with which properties.
struct NewFile {
  SharedDirectory directory;
  std::string path;  // in the image; its last part is the name in `directory`
  mode_t mode = 0;
  timespec modified{};
  Owner owner;
  std::uint64_t size = 0;
  bool sparse = false;
  ExtendedAttributes xattrs;

  [[nodiscard]] const char* name() const noexcept {
    const std::size_t slash = path.rfind('/');
    return path.c_str() + (slash == std::string::npos ? 0 : slash + 1);
  }
};

/// The umask, which open() subtracts from modes.
struct ModeRules {
  mode_t umask = 0;
  /// Would a file of `mode` have other bits after open() and write()?
  [[nodiscard]] bool needs_chmod(mode_t mode) const noexcept {
    return (mode & (umask | S_ISUID | S_ISGID)) != 0;
  }
};

/// Changes the owner of `name` in `directory` (or "": of the directory itself); links are not
/// followed. Does nothing if `to` is the default Owner. Throws refused for an id that we may not
/// use.
inline void change_owner(int directory, const char* name, const Owner& to, std::string_view path) {
  constexpr auto nobody = static_cast<uid_t>(-1);
  if (to.user == nobody && to.group == nobody) return;
  if (::fchownat(directory, name, to.user, to.group, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0)
    return;
  if (errno != EINVAL) io::throw_errno("set the owner of", path);
  throw io::Failed(io::Reason::refused, printable(path),
                   "its owner " + std::to_string(to.user) + ':' + std::to_string(to.group) +
                       " is not one of your subordinate ids",
                   "ask the administrator for more (/etc/subuid, /etc/subgid), or let all files be "
                   "yours")
      .with_kind(Remedy::do_without_ids);
}

/// Sets these attributes on the open file or directory. Throws what man 2 setxattr says.
inline void set_attributes(int fd, const ExtendedAttributes& attributes, std::string_view path) {
  for (const auto& [name, value] : attributes)
    if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0)
      io::throw_errno("set attribute " + name + " of", path);
}

/// Removes the user.* attributes. Throws what man 2 listxattr and removexattr say.
inline void remove_user_attributes(int fd, std::string_view path) {
  const ssize_t room = ::flistxattr(fd, nullptr, 0);
  if (room < 0) io::throw_errno("list the attributes of", path);
  std::string names(static_cast<std::size_t>(room), '\0');
  const ssize_t size = ::flistxattr(fd, names.data(), names.size());
  if (size < 0) io::throw_errno("list the attributes of", path);
  names.resize(static_cast<std::size_t>(size));
  for (const char *name = names.data(), *end = name + size; name < end;
       name += std::strlen(name) + 1)
    if (std::string_view(name).starts_with("user.") && ::fremovexattr(fd, name) != 0)
      io::throw_errno(std::string("remove attribute ") + name + " of", path);
}

class FileWriters {
 public:
  /// How many small files make a batch for one thread.
  static constexpr std::size_t batch_jobs = 24;

  FileWriters(unsigned threads, ModeRules rules) : rules_(rules) {
    threads_.reserve(threads);
    try {
      for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
    } catch (const std::exception&) {
      if (threads_.empty()) throw;  // otherwise fewer threads do all the work
    }
  }
  ~FileWriters() {
    {
      const std::lock_guard lock(mutex_);
      abandoned_ = true;
      ended_ = true;
    }
    changed_.notify_all();
    for (io::Thread& thread : threads_) thread.join();
  }
  FileWriters(const FileWriters&) = delete;
  FileWriters& operator=(const FileWriters&) = delete;

  /// Queues `file` with this content.
  void write(NewFile file, std::vector<Piece> pieces) {
    for (const Piece& piece : pieces) batch_bytes_ += piece.bytes.size();
    batch_.push_back({std::move(file), std::move(pieces), nullptr});
    if (batch_.size() >= batch_jobs || batch_bytes_ >= Block::capacity) flush();
  }

  /// A file too large to be held in memory: pieces follow by add(), then release().
  class Large;
  std::shared_ptr<Large> open_large(NewFile file);
  void add(const std::shared_ptr<Large>& file, Piece piece);

  /// Waits until all is written. Throws the first failure of any thread.
  void drain() {
    flush();
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [&] { return waiting_.empty() && busy_ == 0; });
    if (failure_) std::rethrow_exception(failure_);
  }
  /// How many directories the parser and pending files hold open.
  [[nodiscard]] std::atomic<unsigned>& open_directories() noexcept { return open_directories_; }
  /// Did a thread fail? Then drain() throws its failure.
  [[nodiscard]] bool failed() const noexcept { return failed_.load(std::memory_order_relaxed); }

  /// Paths of directories that were replaced by files since the last call. Call after drain().
  [[nodiscard]] std::vector<std::string> take_replaced_directories() {
    const std::lock_guard lock(mutex_);
    return std::exchange(replaced_, {});
  }

 private:
  struct Job {
    NewFile file;
    std::vector<Piece> pieces;
    std::shared_ptr<Large> large;
  };
  static constexpr std::size_t waiting_batches = 64;

  void flush() {
    batch_bytes_ = 0;
    if (batch_.empty()) return;
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return waiting_.size() < waiting_batches; });
    waiting_.push_back(std::exchange(batch_, {}));
    lock.unlock();
    changed_.notify_one();
  }
  void work() noexcept {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return ended_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      std::vector<Job> jobs = std::move(waiting_.front());
      waiting_.pop_front();
      ++busy_;
      const bool skip = abandoned_ || failure_ != nullptr;
      lock.unlock();
      room_.notify_one();
      std::exception_ptr failure;
      if (!skip) {
        try {
          for (Job& job : jobs) perform(job);
        } catch (...) {
          failure = std::current_exception();
        }
      }
      jobs.clear();  // returns blocks and directories, outside the lock
      lock.lock();
      if (failure && !failure_) {
        failure_ = failure;
        failed_ = true;
      }
      if (--busy_ == 0 && waiting_.empty()) idle_.notify_all();
    }
  }
  void perform(Job& job);
  io::Descriptor create(const NewFile& file);
  void complete(int fd, const NewFile& file) const;

  ModeRules rules_;
  const unsigned max_large_ = descriptors_to_hold(64, 8);
  std::atomic<unsigned> open_directories_ = 0, open_large_ = 0;
  std::vector<Job> batch_;  // of the parser's thread
  std::size_t batch_bytes_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_, room_, idle_;
  std::deque<std::vector<Job>> waiting_;
  std::vector<std::string> replaced_;
  unsigned busy_ = 0;
  bool ended_ = false, abandoned_ = false;
  std::exception_ptr failure_;
  std::atomic<bool> failed_ = false;
  std::vector<io::Thread> threads_;
};

/// A large file being written; complete when the parser and every job have released it.
class FileWriters::Large {
 public:
  Large(FileWriters& writers, NewFile file)
      : writers_(writers), file_(std::move(file)), fd_(writers.create(file_)) {
    ++writers_.open_large_;
  }
  ~Large() { --writers_.open_large_; }
  Large(const Large&) = delete;
  Large& operator=(const Large&) = delete;

  /// The parser or a job is done with it. The last one completes the file.
  void release() {
    if (users_.fetch_sub(1) == 1) {
      writers_.complete(fd_.get(), file_);
      io::close_written(fd_, file_.path);
      file_.directory.reset();
    }
  }
  void retain() noexcept { users_.fetch_add(1); }
  void write(const Piece& piece) {
    write_all(fd_.get(), piece.bytes.data(), piece.bytes.size(), piece.offset, file_.path);
  }

 private:
  FileWriters& writers_;
  NewFile file_;
  io::Descriptor fd_;
  std::atomic<int> users_{1};
};

inline std::shared_ptr<FileWriters::Large> FileWriters::open_large(NewFile file) {
  if (open_large_ >= max_large_)
    drain();  // each holds a descriptor until its last piece is written
  return std::make_shared<Large>(*this, std::move(file));
}

inline void FileWriters::add(const std::shared_ptr<Large>& file, Piece piece) {
  file->retain();
  batch_.push_back({{}, {std::move(piece)}, file});
  flush();
}

inline void FileWriters::perform(Job& job) {
  if (job.large) {
    job.large->write(job.pieces.front());
    job.large->release();
    return;
  }
  io::Descriptor fd = create(job.file);
  for (const Piece& piece : job.pieces)
    write_all(fd.get(), piece.bytes.data(), piece.bytes.size(), piece.offset, job.file.path);
  complete(fd.get(), job.file);
  io::close_written(fd, job.file.path);
}

/// Creates a new file, replacing whatever has its name. Never opens an existing one: writing to a
/// hard link would change the file under its other names, too.
inline io::Descriptor FileWriters::create(const NewFile& file) {
  const char* name = file.name();
  const int directory = file.directory->fd.get();
  for (int tries = 0;; ++tries) {
    io::Descriptor fd(::openat(
        directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, file.mode & 07777));
    if (fd) return fd;
    if (errno != EEXIST || tries == 3) io::throw_errno("make file", file.path);
    if (::unlinkat(directory, name, 0) == 0) continue;
    if (errno != EISDIR) io::throw_errno("replace", file.path);
    remove_tree(directory, name);
    const std::lock_guard lock(mutex_);
    replaced_.push_back(file.path);
  }
}

/// Sets what has to be set after the content: write() clears set-uid bits and changes the time.
inline void FileWriters::complete(int fd, const NewFile& file) const {
  if (file.sparse && ::ftruncate(fd, static_cast<off_t>(file.size)) != 0)
    io::throw_errno("extend", file.path);
  set_attributes(fd, file.xattrs, file.path);
  change_owner(fd, "", file.owner, file.path);  // before the mode, since it clears set-uid bits
  if (rules_.needs_chmod(file.mode) && ::fchmod(fd, file.mode & 07777) != 0)
    io::throw_errno("set the mode of", file.path);
  const timespec times[2] = {file.modified, file.modified};
  if (::futimens(fd, times) != 0) io::throw_errno("set the time of", file.path);
}

}  // namespace ch::images
