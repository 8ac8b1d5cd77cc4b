// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Decompresses bzip2, lzma and lz4 by one named filter of libarchive, over its
// "raw" format, which returns the bytes unchanged. By name, because "all" would also start external
// programs. Also decompress(), the one place that knows all compressions.
// Source: man 3 archive_read_filter, archive_read_data.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include "ch/image/byte_source.hpp"
#include "ch/image/compression.hpp"
#include "ch/image/gzip.hpp"
#include "ch/image/xz.hpp"
#include "ch/image/zstd.hpp"

namespace ch::images {

struct ArchiveFree {
  void operator()(archive* a) const noexcept { archive_read_free(a); }
};
using ArchiveHandle = std::unique_ptr<archive, ArchiveFree>;

/// The uncompressed bytes of a stream that libarchive can decompress.
class FilterSource final : public ByteSource {
 public:
  FilterSource(std::unique_ptr<ByteSource> from, Compression compression)
      : from_(std::move(from)), compression_(compression), input_(256 * 1024) {}

  std::size_t read(std::span<char> out) override {
    if (!handle_) open();
    while (left_.empty()) {
      const void* data = nullptr;
      std::size_t size = 0;
      la_int64_t offset = 0;
      const int result = archive_read_data_block(handle_.get(), &data, &size, &offset);
      if (result == ARCHIVE_EOF) {
        drain(*from_);  // a source that checks the compressed bytes has to see all of them
        return 0;
      }
      if (result != ARCHIVE_OK) fail();
      left_ = {static_cast<const char*>(data), size};
    }
    const std::size_t n = std::min(out.size(), left_.size());
    std::memcpy(out.data(), left_.data(), n);
    left_ = left_.subspan(n);
    return n;
  }

 private:
  void open() {
    handle_.reset(archive_read_new());
    archive* a = handle_.get();
    if (a == nullptr) throw std::bad_alloc();
    archive_read_support_format_raw(a);
    archive_read_support_format_empty(a);
    int result = ARCHIVE_FATAL;
    switch (compression_) {
      case Compression::bzip2:
        result = archive_read_support_filter_bzip2(a);
        break;
      case Compression::lzma:
        result = archive_read_support_filter_lzma(a);
        break;
      case Compression::lz4:
        result = archive_read_support_filter_lz4(a);
        break;
      default:
        break;
    }
    // ARCHIVE_WARN here means that an external program would be used. We never want that.
    if (result != ARCHIVE_OK)
      throw io::Failed(io::Reason::unsupported, {},
                       "this build of libarchive can't read " + std::string(name_of(compression_)),
                       "decompress the archive first");
    archive_entry* entry = nullptr;
    if (archive_read_open(a, this, nullptr, &FilterSource::supply, nullptr) != ARCHIVE_OK) fail();
    const int first = archive_read_next_header(a, &entry);
    if (first != ARCHIVE_OK && first != ARCHIVE_EOF) fail();
    if (archive_filter_count(a) < 2)  // libarchive did not recognise the magic that we saw
      throw io::Failed(
          io::Reason::damaged, {},
          "the " + std::string(name_of(compression_)) + " stream is damaged at its beginning");
  }
  static la_ssize_t supply(archive* a, void* self, const void** data) noexcept {
    auto& me = *static_cast<FilterSource*>(self);
    try {
      *data = me.input_.data();
      return static_cast<la_ssize_t>(me.from_->read(me.input_));
    } catch (...) {
      me.failure_ = std::current_exception();
      archive_set_error(a, EIO, "read failed");
      return -1;
    }
  }
  [[noreturn]] void fail() {
    if (failure_) std::rethrow_exception(failure_);
    if (archive_errno(handle_.get()) == ENOMEM) throw std::bad_alloc();
    const char* why = archive_error_string(handle_.get());
    throw io::Failed(io::Reason::damaged, {},
                     "the " + std::string(name_of(compression_)) +
                         " stream is damaged or cut: " + (why != nullptr ? why : "unknown reason"),
                     "fetch the archive again");
  }

  std::unique_ptr<ByteSource> from_;
  Compression compression_;
  std::vector<char> input_;
  ArchiveHandle handle_;
  std::span<const char> left_;
  std::exception_ptr failure_;
};

/// A source of the uncompressed bytes of `from`, whatever compression it has; sets `found`.
inline std::unique_ptr<ByteSource> decompress(std::unique_ptr<ByteSource> from,
                                              Compression& found) {
  auto peeked = std::make_unique<PeekSource>(std::move(from));
  found = detect(peeked->peek(detection_size));
  switch (found) {
    case Compression::none:
      return peeked;
    case Compression::gzip:
      return std::make_unique<GzipSource>(std::move(peeked));
    case Compression::zstd:
      return std::make_unique<ZstdSource>(std::move(peeked));
    case Compression::xz:
      return std::make_unique<XzSource>(std::move(peeked));
    default:
      return std::make_unique<FilterSource>(std::move(peeked), found);
  }
}

}  // namespace ch::images
