// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Where bytes come from: a stretch of a file, or a pipe. Decoders are sources that read
// from another source, so they form chains: RangeSource -> CheckedSource -> GzipSource.
// Source: man 2 pread, poll.
#pragma once

#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "ch/image/descriptor.hpp"
#include "ch/image/digest.hpp"

namespace ch::images {

/// Purpose: a sequence of bytes, read once, front to back.
/// Laws: read() returns 0 only at the end; throws io::Failed on damage or a failing read.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills the front of `out` and returns the number of bytes; 0 at the end. Blocks.
  virtual std::size_t read(std::span<char> out) = 0;
};

/// Shared by all readers of one input: how far they have read, and whether to stop.
struct InputWatch {
  std::atomic<std::uint64_t> bytes_read{0};
  const std::atomic<bool>* stop = nullptr;

  void check() const {
    if (stop != nullptr && stop->load(std::memory_order_relaxed)) throw io::interrupted();
  }
};

/// A stretch of a file that stays open elsewhere: `size` bytes from `offset`.
struct FileRange {
  int fd = -1;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

/// Reads a FileRange. A file that ends early is an error.
class RangeSource final : public ByteSource {
 public:
  RangeSource(FileRange range, InputWatch& watch) : range_(range), watch_(watch) {}

  std::size_t read(std::span<char> out) override {
    watch_.check();
    const std::size_t want =
        static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), range_.size));
    if (want == 0) return 0;
    ssize_t n = 0;
    do n = ::pread(range_.fd, out.data(), want, static_cast<off_t>(range_.offset));
    while (n < 0 && errno == EINTR);
    if (n < 0) io::throw_errno("read", "the archive");
    if (n == 0) throw_archive_changed();
    range_.offset += static_cast<std::uint64_t>(n);
    range_.size -= static_cast<std::uint64_t>(n);
    watch_.bytes_read += static_cast<std::uint64_t>(n);
    return static_cast<std::size_t>(n);
  }

 private:
  FileRange range_;
  InputWatch& watch_;
};

/// Reads a pipe, socket or terminal to its end. Wakes up every tenth of a second, so that a signal
/// is noticed while no data arrive.
class PipeSource final : public ByteSource {
 public:
  PipeSource(int fd, InputWatch& watch) : fd_(fd), watch_(watch) {}

  std::size_t read(std::span<char> out) override {
    for (;;) {
      watch_.check();
      pollfd ready{fd_, POLLIN, 0};
      if (::poll(&ready, 1, 100) <= 0) continue;
      const ssize_t n = ::read(fd_, out.data(), out.size());
      if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (n < 0) io::throw_errno("read", "the archive");
      watch_.bytes_read += static_cast<std::uint64_t>(n);
      return static_cast<std::size_t>(n);
    }
  }

 private:
  int fd_;
  InputWatch& watch_;
};

/// Bytes in memory that live elsewhere.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const char> bytes) : left_(bytes) {}
  std::size_t read(std::span<char> out) override {
    const std::size_t n = std::min(out.size(), left_.size());
    if (n > 0) std::memcpy(out.data(), left_.data(), n);
    left_ = left_.subspan(n);
    return n;
  }

 private:
  std::span<const char> left_;
};

/// Passes bytes through and checks their digest at the end.
class CheckedSource final : public ByteSource {
 public:
  CheckedSource(std::unique_ptr<ByteSource> from, Digest expected)
      : from_(std::move(from)), expected_(expected) {}

  std::size_t read(std::span<char> out) override {
    const std::size_t n = from_->read(out);
    if (n > 0) {
      sha_.add(out.first(n));
    } else if (!std::exchange(checked_, true)) {
      const Digest found = sha_.finish();
      if (found != expected_)
        throw io::Failed(io::Reason::damaged, expected_.text(),
                         "the content has a different digest, " + found.text(),
                         "fetch the archive again; it was damaged or altered");
    }
    return n;
  }

 private:
  std::unique_ptr<ByteSource> from_;
  Digest expected_;
  Sha256 sha_;
  bool checked_ = false;
};

/// Allows looking at the first bytes of a source before they are read.
class PeekSource final : public ByteSource {
 public:
  explicit PeekSource(std::unique_ptr<ByteSource> from) : from_(std::move(from)) {}

  /// The first up to `size` bytes; fewer if the source ends. Call before any read.
  std::span<const char> peek(std::size_t size) {
    seen_.resize(size);
    std::size_t have = 0;
    while (have < size) {
      const std::size_t n = from_->read(std::span(seen_).subspan(have));
      if (n == 0) break;
      have += n;
    }
    seen_.resize(have);
    return seen_;
  }
  std::size_t read(std::span<char> out) override {
    if (given_ == seen_.size()) return from_->read(out);
    const std::size_t n = std::min(out.size(), seen_.size() - given_);
    std::memcpy(out.data(), seen_.data() + given_, n);
    given_ += n;
    return n;
  }

 private:
  std::unique_ptr<ByteSource> from_;
  std::vector<char> seen_;
  std::size_t given_ = 0;
};

/// Reads and discards the rest of `source`, so that its final checks are made.
inline void drain(ByteSource& source) {
  std::vector<char> buffer(64 * 1024);
  while (source.read(buffer) > 0) {
  }
}

}  // namespace ch::images
