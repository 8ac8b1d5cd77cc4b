// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. The parts of an image archive by name: manifests, configurations, layers. An
// uncompressed archive file is only indexed, and its parts are read in place; a directory is read
// by descriptor. Names come from the archive's own documents, so they are only looked up among the
// existing parts and never used as paths.
// Source: OCI image specification, image-layout.md.
#pragma once

#include <map>
#include <set>

#include "ch/image/archive_reader.hpp"
#include "ch/image/remove_tree.hpp"

namespace ch::images {

/// Named stretches of files.
class Blobs {
 public:
  virtual ~Blobs() = default;
  /// The blob of this normal-form name, if there is one. Valid as long as this object.
  [[nodiscard]] virtual const FileRange* find(const std::string& name) const = 0;

  /// The same, or an error that says that the archive lacks a part.
  [[nodiscard]] const FileRange& at(const std::string& name) const {
    if (const FileRange* found = find(name)) return *found;
    throw io::Failed(io::Reason::damaged, io::printable(name), "this part of the image is missing",
                     "save or fetch the archive again");
  }
};

/// Of a tar that is an uncompressed, seekable file.
class TarBlobs final : public Blobs {
 public:
  /// Indexes `tar`. Reads headers only. Throws damaged.
  explicit TarBlobs(FileRange tar) : tar_(tar) {
    const BytesLocale locale;
    handle_.reset(archive_read_new());
    archive* a = handle_.get();
    if (a == nullptr) throw std::bad_alloc();
    archive_read_support_format_tar(a);
    archive_read_support_format_gnutar(a);
    archive_read_set_callback_data(a, this);
    archive_read_set_read_callback(a, &TarBlobs::supply);
    archive_read_set_skip_callback(a, &TarBlobs::skip);
    archive_entry* entry = nullptr;
    int result = archive_read_open1(a);
    while (result == ARCHIVE_OK && ((result = archive_read_next_header(a, &entry)) == ARCHIVE_OK ||
                                    result == ARCHIVE_WARN)) {
      result = ARCHIVE_OK;
      add(entry);
    }
    if (result != ARCHIVE_EOF ||
        archive_filter_bytes(a, 0) - archive_read_header_position(a) < 1024) {
      if (result != ARCHIVE_EOF && archive_errno(a) == ENOMEM) throw std::bad_alloc();
      const char* why = result == ARCHIVE_EOF ? "it has no end mark" : archive_error_string(a);
      throw io::Failed(io::Reason::damaged, {},
                       std::string("the archive is damaged or cut: ") +
                           (why != nullptr ? why : "unknown reason"),
                       "save or fetch the archive again");
    }
    handle_.reset();
  }

  const FileRange* find(const std::string& name) const override {
    std::string at = name;
    for (int links = 0; links < 8; ++links) {
      if (const auto blob = blobs_.find(at); blob != blobs_.end()) return &blob->second;
      const auto link = links_.find(at);
      if (link == links_.end()) return nullptr;
      at = link->second;
    }
    return nullptr;
  }
  [[nodiscard]] bool has(const std::string& name) const { return find(name) != nullptr; }
  /// Are there parts that only an image archive has: blobs, or layers in their own directories?
  [[nodiscard]] bool has_digests() const {
    return std::any_of(blobs_.begin(), blobs_.end(), [](const auto& blob) {
      const std::string_view name = blob.first;
      constexpr std::string_view folder = "blobs/sha256/";
      if (name.starts_with(folder)) return is_sha256_hex(name.substr(folder.size()));
      return is_sha256_hex(name.substr(0, 64)) && name.substr(64) == "/layer.tar";
    });
  }

 private:
  void add(archive_entry* entry) {
    const char* name = archive_entry_pathname(entry);
    if (name == nullptr) return;
    std::string path;
    try {
      path = normal_member_path(name);
    } catch (io::Failed& e) {
      e.in_member(io::printable(name));
      throw;
    }
    if (const char* target = archive_entry_hardlink(entry)) {
      links_[path] = normal_member_path(target);
    } else if (archive_entry_filetype(entry) == AE_IFLNK) {
      // Old archives name a shared layer by "../ID/layer.tar", which is resolved as text.
      const char* to = archive_entry_symlink(entry);
      std::string_view rest = to != nullptr ? to : "";
      std::string above(io::parent_of(path));
      while (rest.starts_with("../")) {
        rest.remove_prefix(3);
        above = io::parent_of(above);
      }
      if (rest.find("..") == std::string_view::npos)
        links_[path] = normal_member_path(above + '/' + std::string(rest));
    } else if (archive_entry_filetype(entry) == AE_IFREG) {
      const auto at = static_cast<std::uint64_t>(archive_filter_bytes(handle_.get(), 0));
      const auto size = static_cast<std::uint64_t>(archive_entry_size(entry));
      if (size > tar_.size || at > tar_.size - size)
        throw io::Failed(io::Reason::damaged, io::printable(path),
                         "the archive ends inside this member",
                         "save or fetch the archive again; it was cut");
      if (archive_entry_sparse_count(entry) == 0) blobs_[path] = {tar_.fd, tar_.offset + at, size};
    }
  }
  static la_ssize_t supply(archive* a, void* self, const void** data) noexcept {
    auto& me = *static_cast<TarBlobs*>(self);
    const std::uint64_t left = me.tar_.size - me.position_;
    const std::size_t want =
        static_cast<std::size_t>(std::min<std::uint64_t>(left, sizeof me.buffer_));
    const ssize_t n = want == 0 ? 0
                                : ::pread(me.tar_.fd, me.buffer_, want,
                                          static_cast<off_t>(me.tar_.offset + me.position_));
    if (n < 0) {
      archive_set_error(a, errno, "read failed");
      return -1;
    }
    me.position_ += static_cast<std::uint64_t>(n);
    *data = me.buffer_;
    return n;
  }
  static la_int64_t skip(archive*, void* self, la_int64_t request) noexcept {
    auto& me = *static_cast<TarBlobs*>(self);
    const auto n = std::min(static_cast<std::uint64_t>(request), me.tar_.size - me.position_);
    me.position_ += n;
    return static_cast<la_int64_t>(n);
  }

  FileRange tar_;
  ArchiveHandle handle_;
  std::uint64_t position_ = 0;
  char buffer_[4096];
  std::map<std::string, FileRange> blobs_;
  std::map<std::string, std::string> links_;
};

/// Of a directory with an OCI layout: all of its files, opened in advance. So a process that gets
/// this object needs no descriptor of the directory, from which ".." would lead out. Links are
/// skipped.
class DirectoryBlobs final : public Blobs {
 public:
  /// Throws what man 2 openat says; EMFILE for a layout with more blobs than descriptors.
  explicit DirectoryBlobs(int directory) {
    for (const char* name : {"oci-layout", "index.json"}) open(directory, "", name);
    const io::Descriptor blobs = try_open_beneath(directory, "blobs/sha256");
    if (!blobs && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
      io::throw_errno("open directory", "blobs/sha256");
    if (!blobs) return;
    for (const std::string& name : io::names_in(blobs.get()))
      if (is_sha256_hex(name)) open(blobs.get(), "blobs/sha256/", name);
  }

  const FileRange* find(const std::string& name) const override {
    const auto known = open_.find(name);
    return known == open_.end() ? nullptr : &known->second.second;
  }

  /// The descriptors of all files, in the order of their names.
  [[nodiscard]] std::vector<int> descriptors() const {
    std::vector<int> all;
    for (const auto& [name, blob] : open_) all.push_back(blob.first.get());
    return all;
  }

 private:
  void open(int directory, const std::string& prefix, const std::string& name) {
    io::Descriptor fd(
        ::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (!fd && errno != ENOENT && errno != ELOOP && errno != ENXIO) io::throw_errno("open", name);
    if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return;
    const FileRange range{fd.get(), 0, static_cast<std::uint64_t>(status.st_size)};
    open_.emplace(prefix + name, std::pair(std::move(fd), range));
  }

  std::map<std::string, std::pair<io::Descriptor, FileRange>> open_;
};

/// Does this member's name belong to an image archive rather than to a file system?
[[nodiscard]] inline bool names_image_part(std::string_view path) {
  for (const char* name : {"manifest.json", "index.json", "oci-layout", "repositories", "blobs"})
    if (path == name) return true;
  if (path.starts_with("blobs/")) return true;
  const std::string_view first = path.substr(0, path.find('/'));
  return is_sha256_hex(first.substr(0, 64)) &&
         (first.size() == 64 || first.substr(64) == ".tar" || first.substr(64) == ".json");
}

}  // namespace ch::images
