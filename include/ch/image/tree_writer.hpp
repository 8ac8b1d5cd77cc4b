// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Puts archive members into the image's tree, one layer after the other. Files
// go to FileWriters and may still be pending; everything else is done immediately, in order. A name
// that comes a second time in a layer waits for the first, so the result does not depend on
// threads. Later members replace earlier ones, never through them.
// Source: OCI image specification, layer.md, "Applying Changesets".
#pragma once

#include "ch/image/lower_removal.hpp"

namespace ch::images {

class TreeWriter {
 public:
  /// Up to this size a file is held whole before a thread writes it.
  static constexpr std::uint64_t small_file = 1024 * 1024;

  TreeWriter(io::Descriptor root, unsigned threads, ModeRules rules, SpecialBits special,
             Owners owners = Owners::mine)
      : rules_(rules),
        special_(special),
        owners_(owners),
        writers_(threads, rules),
        directories_(std::move(root), writers_) {}

  [[nodiscard]] int root() const noexcept { return directories_.root(); }

  /// Begins a layer over what exists: whiteouts act on earlier layers only.
  void begin_layer() {
    settle();
    directories_.begin_layer();
  }

  void directory(const Member& m) {
    DirectoryAttributes attributes{(m.mode & (keep_bits() | 01777)) | 0700, m.modified,
                                   m.path.empty(), owner_of(m)};
    if (m.path.empty()) {
      replace_attributes(root(), m);
    } else {
      Place at = take_place(m);
      if (::mkdirat(at.directory->fd.get(), at.name.c_str(), attributes.mode & 07777) != 0) {
        struct stat status {};
        if (errno != EEXIST) io::throw_errno("make directory", m.path);
        if (!io::status_of(at.directory->fd.get(), at.name.c_str(), status) ||
            !S_ISDIR(status.st_mode)) {
          clear(at, m.path);
          if (::mkdirat(at.directory->fd.get(), at.name.c_str(), attributes.mode & 07777) != 0)
            io::throw_errno("make directory", m.path);
        }
        attributes.needs_chmod = true;
      }
      if (!m.xattrs.empty() || (attributes.needs_chmod && attributes_given_))
        replace_attributes(io::open_directory(at.directory->fd.get(), at.name.c_str()).get(), m);
    }
    directories_.announce(m.path, attributes);
  }

  void symlink(const Member& m) {
    const Place at = take_place(m);
    const int directory = at.directory->fd.get();
    if (::symlinkat(m.target.c_str(), directory, at.name.c_str()) != 0) {
      if (errno != EEXIST) io::throw_errno("make link", m.path);
      clear(at, m.path);
      if (::symlinkat(m.target.c_str(), directory, at.name.c_str()) != 0)
        io::throw_errno("make link", m.path);
    }
    change_owner(directory, at.name.c_str(), owner_of(m), m.path);
    set_time(directory, at.name, m);
  }

  void fifo(const Member& m) {
    const Place at = take_place(m);
    const int directory = at.directory->fd.get();
    const mode_t mode = m.mode & 0777;
    if (::mkfifoat(directory, at.name.c_str(), mode) != 0) {
      if (errno != EEXIST) io::throw_errno("make fifo", m.path);
      clear(at, m.path);
      if (::mkfifoat(directory, at.name.c_str(), mode) != 0) io::throw_errno("make fifo", m.path);
    }
    change_owner(directory, at.name.c_str(), owner_of(m), m.path);
    if (rules_.needs_chmod(mode) && ::fchmodat(directory, at.name.c_str(), mode, 0) != 0)
      io::throw_errno("set the mode of", m.path);
    set_time(directory, at.name, m);
  }

  /// Another name for the file at m.target. A target in this layer may still be pending, so the
  /// link waits; one in a lower layer is linked before it can be replaced.
  void hard_link(const Member& m) {
    if (m.target == m.path) {
      if (directories_.noted(m.path)) return;  // a link to itself: already there
      throw_no_target(m);
    }
    if (directories_.noted(m.path)) settle();
    Link link{m.path, m.target, m.name, m.modified};
    if (!directories_.noted(m.target)) {
      directories_.note(m.path);
      make_link(link);
      return;
    }
    directories_.note(m.path);
    link_bytes_ += sizeof link + link.path.size() + link.target.size() + link.member.size();
    links_.push_back(std::move(link));
    if (link_bytes_ >= max_link_bytes) settle();
  }

  /// A file, with its content from `next_piece`, which returns false at the end.
  template <class NextPiece>
  void file(const Member& m, NextPiece&& next_piece) {
    Place at = take_place(m);
    NewFile file{std::move(at.directory),
                 m.path,
                 m.mode & (keep_bits() | 01777),
                 m.modified,
                 owner_of(m),
                 m.size,
                 m.sparse,
                 m.xattrs};
    if (at.reached == Place::Reached::through_link)  // the last part of m.path is always at.name
      settle_after_ = true;
    std::vector<Piece> pieces;
    Piece piece;
    if (m.size <= small_file && !m.sparse) {
      while (next_piece(piece)) pieces.push_back(owned(std::exchange(piece, {})));
      writers_.write(std::move(file), std::move(pieces));
    } else {
      const auto large = writers_.open_large(std::move(file));
      while (next_piece(piece)) writers_.add(large, owned(std::exchange(piece, {})));
      large->release();
    }
    if (std::exchange(settle_after_, false)) settle();
    if (writers_.failed()) settle();
  }

  /// Removes what lower layers have at `path`; what this layer has stays.
  void whiteout(const std::string& path) {
    settle();
    if (const SharedDirectory parent = directories_.find(std::string(io::parent_of(path))))
      LowerRemoval(directories_).remove(parent->fd.get(), std::string(io::base_of(path)), path);
  }
  /// Removes everything that lower layers have in the directory `path`.
  void opaque(const std::string& path) {
    settle();
    if (const SharedDirectory directory = directories_.find(path))
      LowerRemoval(directories_).remove_in(directory->fd.get(), path);
  }

  /// Waits until all pending work is done. Throws the first failure.
  void settle() {
    writers_.drain();
    directories_.forget_replaced();
    link_bytes_ = 0;
    for (const Link& link : std::exchange(links_, {})) make_link(link);
  }
  /// Sets the modes and times of directories. Call last.
  void finish() {
    settle();
    directories_.finish(rules_);
  }
  /// The attributes of the image's root, if no member sets them.
  void default_root(const DirectoryAttributes& attributes) {
    if (!directories_.announced({})) directories_.announce({}, attributes);
  }

 private:
  struct Link {
    std::string path, target, member;
    timespec modified;
  };
  static constexpr std::size_t max_link_bytes = 1024 * 1024;
  [[nodiscard]] mode_t keep_bits() const noexcept {
    return special_ == SpecialBits::keep ? 06000 : 0;
  }
  [[nodiscard]] Owner owner_of(const Member& m) const {
    if (owners_ == Owners::mine) return {};
    if (!m.owner_is_valid)
      throw io::Failed(io::Reason::damaged, printable(m.path), "its owner is not a valid id");
    return m.owner;
  }
  /// Where `m` goes. If this layer has the name already, everything before is finished
  /// first, so that the last one wins.
  Place take_place(const Member& m) {
    if (m.path.empty())
      throw io::Failed(io::Reason::hostile, {}, "the root of the image is not a directory here");
    Place at = directories_.place(m.path, m.modified);
    if (!directories_.note(m.path) || at.reached == Place::Reached::through_link) settle();
    return at;
  }
  /// If a directory occurs twice, the last entry's attributes win, as its mode does.
  void replace_attributes(int fd, const Member& m) {
    if (attributes_given_) remove_user_attributes(fd, m.path);
    set_attributes(fd, m.xattrs, m.path);
    attributes_given_ = attributes_given_ || !m.xattrs.empty();
  }
  void clear(const Place& at, const std::string& path) {
    remove_tree(at.directory->fd.get(), at.name);
    directories_.forget(path);
  }
  static void set_time(int directory, const std::string& name, const Member& m) {
    const timespec times[2] = {m.modified, m.modified};
    if (::utimensat(directory, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
      io::throw_errno("set the time of", m.path);
  }
  /// Pieces in libarchive's own buffer are copied, since the next call overwrites them.
  static Piece owned(Piece piece) {
    if (piece.block) return piece;
    auto block = std::make_shared<Block>(Block::of_size(piece.bytes.size()));
    std::memcpy(block->memory.get(), piece.bytes.data(), piece.bytes.size());
    block->bytes = {block->memory.get(), piece.bytes.size()};
    piece.bytes = block->view();
    piece.block = std::move(block);
    return piece;
  }
  [[noreturn]] static void throw_no_target(const Member& m) {
    io::Failed error(io::Reason::damaged, printable(m.target),
                     "a hard link to this, which is not in the image");
    error.in_member(printable(m.name));
    throw error;
  }
  void make_link(const Link& link) {
    Member m;
    m.name = link.member;
    m.path = link.path;
    m.target = link.target;
    const SharedDirectory from = directories_.find(std::string(io::parent_of(link.target)));
    if (!from || link.target.empty()) throw_no_target(m);
    const Place to = directories_.place(link.path, link.modified);
    const std::string name(io::base_of(link.target));
    const int from_fd = from->fd.get();
    const int to_fd = to.directory->fd.get();
    struct stat target {};
    if (::linkat(from_fd, name.c_str(), to_fd, to.name.c_str(), 0) == 0) return;
    const int why = errno;
    if (!io::status_of(from_fd, name.c_str(), target)) throw_no_target(m);
    if (S_ISDIR(target.st_mode))
      throw io::Failed(io::Reason::hostile, printable(link.path), "a hard link to a directory");
    if (why != EEXIST) io::throw_errno("make hard link", link.path, why);
    struct stat there {};
    if (io::status_of(to_fd, to.name.c_str(), there) && there.st_dev == target.st_dev &&
        there.st_ino == target.st_ino)
      return;  // the same file under another name: removing it would lose it
    clear(to, link.path);
    if (::linkat(from_fd, name.c_str(), to_fd, to.name.c_str(), 0) != 0)
      io::throw_errno("make hard link", link.path);
  }
  ModeRules rules_;
  SpecialBits special_;
  Owners owners_;
  FileWriters writers_;
  Directories directories_;
  std::vector<Link> links_;
  std::size_t link_bytes_ = 0;
  bool settle_after_ = false;
  bool attributes_given_ = false;  // to any directory; else there are none to remove
};

}  // namespace ch::images
