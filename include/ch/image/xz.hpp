// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Decompresses xz with as many threads as there are cores, if the stream's blocks state
// their sizes (as `xz -T` writes them); otherwise with one. Memory is bounded: if it is short,
// fewer threads are used, and a stream that needs too much even for one is refused.
// Source: lzma/container.h, lzma_stream_decoder_mt; the .xz file format, 2.2.
#pragma once

#include <lzma.h>

#include <thread>

#include "ch/image/byte_source.hpp"

namespace ch::images {

/// The uncompressed bytes of an xz file: streams, and padding between them.
class XzSource final : public ByteSource {
 public:
  static constexpr std::uint64_t memory_for_threads = 96ULL << 20;
  static constexpr std::uint64_t memory_at_most = 160ULL << 20;  // xz -9 needs 65 MiB

  explicit XzSource(std::unique_ptr<ByteSource> from) : from_(std::move(from)), bytes_(256 * 1024) {
    lzma_mt options{};
    options.threads = std::clamp(std::thread::hardware_concurrency(), 1U, 8U);
    options.memlimit_threading = memory_for_threads;
    options.memlimit_stop = memory_at_most;
    options.flags = LZMA_CONCATENATED | LZMA_TELL_UNSUPPORTED_CHECK;
    if (lzma_stream_decoder_mt(&state_, &options) != LZMA_OK) throw std::bad_alloc();
  }
  ~XzSource() override { lzma_end(&state_); }
  XzSource(const XzSource&) = delete;
  XzSource& operator=(const XzSource&) = delete;

  std::size_t read(std::span<char> out) override {
    if (done_) return 0;
    state_.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    state_.avail_out = out.size();
    while (!done_ && state_.avail_out == out.size()) {
      if (state_.avail_in == 0 && !ended_) {
        state_.avail_in = from_->read(bytes_);
        state_.next_in = reinterpret_cast<const std::uint8_t*>(bytes_.data());
        ended_ = state_.avail_in == 0;
      }
      const lzma_ret result = lzma_code(&state_, ended_ ? LZMA_FINISH : LZMA_RUN);
      done_ = result == LZMA_STREAM_END;
      if (result != LZMA_OK && !done_) fail(result);
    }
    return out.size() - state_.avail_out;
  }

 private:
  [[noreturn]] static void fail(lzma_ret result) {
    switch (result) {
      case LZMA_MEM_ERROR:
        throw std::bad_alloc();
      case LZMA_MEMLIMIT_ERROR:
        throw io::Failed(io::Reason::unsupported, {},
                         "the xz stream needs more than 160 MiB of memory",
                         "compress it again with a smaller dictionary, or decompress it first");
      case LZMA_OPTIONS_ERROR:
      case LZMA_UNSUPPORTED_CHECK:
        throw io::Failed(io::Reason::unsupported, {},
                         "the xz stream uses a filter or check that this liblzma does not know",
                         "decompress the archive first");
      case LZMA_BUF_ERROR:
        throw io::Failed(io::Reason::damaged, {}, "the xz stream ends too early",
                         "fetch the archive again; it was cut");
      default:
        throw io::Failed(io::Reason::damaged, {}, "the xz stream is damaged",
                         "fetch the archive again");
    }
  }

  std::unique_ptr<ByteSource> from_;
  std::vector<char> bytes_;
  lzma_stream state_ = LZMA_STREAM_INIT;
  bool ended_ = false, done_ = false;
};

}  // namespace ch::images
