// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Tar members from a stream, read by a strict libarchive: only the tar formats are
// enabled, warnings are errors (libarchive skips damaged members with a warning), and the end mark
// of two zero blocks is required (libarchive accepts any end).
// Source: man 3 archive_read; POSIX pax, "ustar Interchange Format".
#pragma once

#include <clocale>
#include <string>

#include "ch/image/block_stream.hpp"
#include "ch/image/filter.hpp"
#include "ch/image/member.hpp"
#include "ch/image/member_path.hpp"
#include "ch/image/options.hpp"

namespace ch::images {

/// A piece of a file's content, at `offset` of the file. Its bytes live as long as
/// `block`, or if that is null, until the next call.
struct Piece {
  std::span<const char> bytes;
  std::uint64_t offset = 0;
  SharedBlock block;
};

/// Sets the C locale for this thread while the object lives. Names are bytes and must not be
/// changed, but libarchive converts those of pax headers to the thread's character set, and for
/// UTF-8 even composes accents, which can make two names equal. In the C locale it can't convert;
/// it warns (see is_harmless()) and returns the bytes.
class BytesLocale {
 public:
  BytesLocale() : ours_(::newlocale(LC_CTYPE_MASK, "C", locale_t{})) {
    if (ours_ != locale_t{}) before_ = ::uselocale(ours_);
  }
  ~BytesLocale() {
    if (ours_ == locale_t{}) return;
    ::uselocale(before_);
    ::freelocale(ours_);
  }
  BytesLocale(const BytesLocale&) = delete;
  BytesLocale& operator=(const BytesLocale&) = delete;

 private:
  locale_t ours_;
  locale_t before_{};
};

/// Iterates over the members of one tar. Use from one thread.
class ArchiveReader {
 public:
  ArchiveReader(BlockSource& stream, Xattrs xattrs) : stream_(stream), xattrs_(xattrs) {
    handle_.reset(archive_read_new());
    archive* a = handle_.get();
    if (a == nullptr) throw std::bad_alloc();
    archive_read_support_format_tar(a);
    archive_read_support_format_gnutar(a);
    if (archive_read_open(a, this, nullptr, &ArchiveReader::supply, nullptr) != ARCHIVE_OK)
      fail_open();
  }

  /// The next member into `out`; false at the end. Throws damaged, or hostile for a bad name.
  bool next(Member& out) {
    archive* a = handle_.get();
    const int result = archive_read_next_header(a, &entry_);
    if (result == ARCHIVE_EOF) {
      check_end();
      return false;
    }
    if (result != ARCHIVE_OK && !(result == ARCHIVE_WARN && is_harmless())) fail("header");
    fill(out);
    return true;
  }

  /// The next piece of the current member's content; false after the last.
  bool content(Piece& out) {
    const void* data = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    const int result = archive_read_data_block(handle_.get(), &data, &size, &offset);
    if (result == ARCHIVE_EOF) return false;
    if (result != ARCHIVE_OK) fail("content");
    out.bytes = {static_cast<const char*>(data), size};
    out.offset = static_cast<std::uint64_t>(offset);
    out.block = owner_of(out.bytes);
    return true;
  }

 private:
  static la_ssize_t supply(archive* a, void* self, const void** data) noexcept {
    auto& me = *static_cast<ArchiveReader*>(self);
    try {
      me.previous_ = std::move(me.current_);
      me.current_ = me.stream_.next();
      if (!me.current_) return 0;
      *data = me.current_->view().data();
      return static_cast<la_ssize_t>(me.current_->view().size());
    } catch (...) {
      me.failure_ = std::current_exception();
      archive_set_error(a, EIO, "read failed");
      return -1;
    }
  }
  [[nodiscard]] SharedBlock owner_of(std::span<const char> bytes) const {
    for (const SharedBlock* block : {&current_, &previous_}) {
      if (!*block) continue;
      const auto whole = (*block)->view();
      const std::less_equal<> in_order;
      if (in_order(whole.data(), bytes.data()) &&
          in_order(bytes.data() + bytes.size(), whole.data() + whole.size()))
        return *block;
    }
    return nullptr;  // libarchive's own buffer, where two blocks meet
  }

  void fill(Member& out) {
    const char* name = archive_entry_pathname(entry_);
    if (name == nullptr || *name == '\0')
      throw io::Failed(io::Reason::damaged, {}, "a member has no name");
    out.name = name;
    try {
      normalize_member_path(out.name, out.path);
      fill_kind(out);
    } catch (io::Failed& e) {
      e.in_member(printable(out.name));
      throw;
    }
    out.mode = archive_entry_perm(entry_) & 07777;
    const bool has_content = out.kind == MemberKind::file;
    out.size = has_content ? static_cast<std::uint64_t>(archive_entry_size(entry_)) : 0;
    out.sparse = has_content && archive_entry_sparse_count(entry_) > 0;
    out.modified = {archive_entry_mtime(entry_), archive_entry_mtime_nsec(entry_)};
    out.owner = {static_cast<uid_t>(archive_entry_uid(entry_)),
                 static_cast<gid_t>(archive_entry_gid(entry_))};
    out.owner_is_valid =
        archive_entry_uid(entry_) == out.owner.user && archive_entry_gid(entry_) == out.owner.group;
    out.xattrs.clear();
    if (xattrs_ == Xattrs::keep) fill_xattrs(out);
  }
  void fill_kind(Member& out) {
    out.target.clear();
    if (const char* target = archive_entry_hardlink(entry_)) {
      out.kind = MemberKind::hard_link;
      normalize_member_path(target, out.target);
      return;
    }
    switch (archive_entry_filetype(entry_)) {
      case AE_IFREG:
        out.kind = MemberKind::file;
        return;
      case AE_IFDIR:
        out.kind = MemberKind::directory;
        return;
      case AE_IFIFO:
        out.kind = MemberKind::fifo;
        return;
      case AE_IFCHR:
      case AE_IFBLK:
        out.kind = MemberKind::device;
        return;
      case AE_IFLNK: {
        out.kind = MemberKind::symlink;
        const char* target = archive_entry_symlink(entry_);
        if (target != nullptr) out.target = target;
        if (out.target.empty())
          throw io::Failed(io::Reason::damaged, {}, "a symbolic link without a target");
        if (out.target.size() > max_path)
          throw io::Failed(io::Reason::hostile, {}, "the link's target is longer than 4095 bytes");
        return;
      }
      default:
        throw io::Failed(io::Reason::unsupported, {}, "a member of a kind that no file system has");
    }
  }
  void fill_xattrs(Member& out) {
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    archive_entry_xattr_reset(entry_);
    while (archive_entry_xattr_next(entry_, &name, &value, &size) == ARCHIVE_OK)
      if (std::string_view(name).starts_with("user."))
        out.xattrs.emplace_back(name, std::string(static_cast<const char*>(value), size));
  }

  /// Is this a warning that affects nothing that we use?
  [[nodiscard]] bool is_harmless() const {
    const char* text = archive_error_string(handle_.get());
    const std::string_view why = text != nullptr ? text : "";
    // See BytesLocale: the name is unconverted, as we want it.
    return why.find("can't be converted from") != std::string_view::npos &&
           (why.starts_with("Pathname") || why.starts_with("Linkname") ||
            why.starts_with("Uname") || why.starts_with("Gname"));
  }
  /// A tar ends with two blocks of zeros. libarchive also accepts one or none, but then we can't
  /// know that nothing is missing.
  void check_end() {
    archive* a = handle_.get();
    if (failure_) std::rethrow_exception(failure_);
    const la_int64_t mark = archive_filter_bytes(a, 0) - archive_read_header_position(a);
    if (mark < 1024)
      throw io::Failed(io::Reason::damaged, {}, "the archive has no end mark",
                       "fetch the archive again; it was cut");
  }
  [[noreturn]] void fail_open() {
    if (failure_) std::rethrow_exception(failure_);
    if (archive_errno(handle_.get()) == ENOMEM) throw std::bad_alloc();
    throw io::Failed(io::Reason::unsupported, {}, "this is not a tar archive, or it is empty",
                     "name a tar archive (plain, gzip, bzip2, xz, lzma, zstd, lz4), a docker "
                     "archive or an OCI layout");
  }
  [[noreturn]] void fail(std::string_view where) {
    if (failure_) std::rethrow_exception(failure_);
    archive* a = handle_.get();
    if (archive_errno(a) == ENOMEM) throw std::bad_alloc();
    const char* text = archive_error_string(a);
    const std::string why = text != nullptr ? text : "unknown reason";
    if (archive_file_count(a) == 0 || why == "Unrecognized archive format") fail_open();
    throw io::Failed(
        io::Reason::damaged, {},
        "the archive is damaged or cut in a member's " + std::string(where) + ": " + why,
        "fetch the archive again");
  }

  BlockSource& stream_;
  Xattrs xattrs_;
  BytesLocale locale_;
  ArchiveHandle handle_;
  archive_entry* entry_ = nullptr;
  SharedBlock current_, previous_;
  std::exception_ptr failure_;
};

}  // namespace ch::images
