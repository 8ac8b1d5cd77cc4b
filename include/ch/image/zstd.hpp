// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Decompresses zstd straight into the caller's buffer. There may be several frames, also
// skippable ones; anything else after a frame is damage. A frame's checksum, if it has one, is
// compared by the library.
// Source: RFC 8878; zstd.h, "Streaming decompression".
#pragma once

#include <zstd.h>
#include <zstd_errors.h>

#include "ch/image/byte_source.hpp"

namespace ch::images {

/// The uncompressed bytes of a zstd stream. Holds a window of at most 128 MiB.
class ZstdSource final : public ByteSource {
 public:
  explicit ZstdSource(std::unique_ptr<ByteSource> from)
      : from_(std::move(from)), bytes_(256 * 1024), stream_(ZSTD_createDStream()) {
    if (!stream_) throw std::bad_alloc();
  }

  std::size_t read(std::span<char> out) override {
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    while (to.pos == 0 && (full_ || in_.pos < in_.size || refill())) {
      const std::size_t result = ZSTD_decompressStream(stream_.get(), &to, &in_);
      if (ZSTD_isError(result) != 0) fail(result);
      in_frame_ = result != 0;
      full_ = in_frame_ && to.pos == to.size;  // it may hold output for which there was no room
    }
    if (to.pos == 0 && in_frame_)
      throw io::Failed(io::Reason::damaged, {}, "the zstd stream ends too early",
                       "fetch the archive again; it was cut");
    return to.pos;
  }

 private:
  struct Free {
    void operator()(ZSTD_DStream* stream) const noexcept { ZSTD_freeDStream(stream); }
  };
  bool refill() {
    in_ = {bytes_.data(), from_->read(bytes_), 0};
    return in_.size > 0;
  }
  [[noreturn]] static void fail(std::size_t result) {
    if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation) throw std::bad_alloc();
    const std::string why = ZSTD_getErrorName(result);
    if (why.find("too much memory") != std::string::npos)
      throw io::Failed(io::Reason::unsupported, {},
                       "the zstd stream needs a window of more than 128 MiB",
                       "compress it again without --long, or decompress it first: zstd -d "
                       "--long=31");
    throw io::Failed(io::Reason::damaged, {}, "the zstd stream is damaged: " + why,
                     "fetch the archive again");
  }

  std::unique_ptr<ByteSource> from_;
  std::vector<char> bytes_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  std::unique_ptr<ZSTD_DStream, Free> stream_;
  bool in_frame_ = false, full_ = false;
};

}  // namespace ch::images
