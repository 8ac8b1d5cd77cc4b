// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. A thread that reads and decompresses ahead into blocks. Blocks are shared, not
// copied: the parser looks at headers in them, writers write files straight from them,
// a hasher reads them, and the last one out returns the block. There is a fixed number of
// blocks, so memory is bounded and a slow writer slows the reader down.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "ch/image/byte_source.hpp"

namespace ch::image {

/// Some bytes of the stream. Never changed once filled.
struct Block {
  static constexpr std::size_t capacity = 256 * 1024;
  std::unique_ptr<char[]> bytes{new char[capacity]};
  std::size_t size = 0;
  [[nodiscard]] std::span<const char> view() const noexcept { return {bytes.get(), size}; }
};
using SharedBlock = std::shared_ptr<const Block>;

/// Hands out at most `limit` blocks at a time. take() waits; thread-safe.
class BlockPool : public std::enable_shared_from_this<BlockPool> {
 public:
  static constexpr std::size_t limit =
      32;  // 8 MiB: most of it stays in the cache between reader and writer

  /// A block to fill, or none once stop() was called.
  std::unique_ptr<Block> take() {
    std::unique_lock lock(mutex_);
    returned_.wait(lock, [&] { return stopped_ || !free_.empty() || made_ < limit; });
    if (stopped_) return nullptr;
    if (free_.empty()) {
      ++made_;
      return std::make_unique<Block>();
    }
    auto block = std::move(free_.back());
    free_.pop_back();
    return block;
  }
  /// Makes a filled block readable by many; it comes back by itself.
  SharedBlock share(std::unique_ptr<Block> block) {
    return {block.release(), [pool = shared_from_this()](const Block* b) {
              pool->give_back(const_cast<Block*>(b));
            }};
  }
  void stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    returned_.notify_all();
  }

 private:
  void give_back(Block* block) {
    const std::lock_guard lock(mutex_);
    free_.emplace_back(block);
    returned_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Block>> free_;
  std::size_t made_ = 0;
  bool stopped_ = false;
};

/// Hands values from one thread to another, in order; pop() waits, none means the end.
template <class T>
class Channel {
 public:
  void push(T value) {
    const std::lock_guard lock(mutex_);
    values_.push_back(std::move(value));
    changed_.notify_one();
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !values_.empty(); });
    if (values_.empty()) return std::nullopt;
    T value = std::move(values_.front());
    values_.pop_front();
    return value;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> values_;
  bool closed_ = false;
};

/// Computes the digest of a stream's blocks on a thread of its own.
class BlockHasher {
 public:
  BlockHasher()
      : thread_([this] {
          while (auto block = blocks_.pop()) sha_.add((*block)->view());
        }) {}
  ~BlockHasher() { end(); }
  BlockHasher(const BlockHasher&) = delete;
  BlockHasher& operator=(const BlockHasher&) = delete;

  void add(SharedBlock block) { blocks_.push(std::move(block)); }
  /// Waits for the rest; the digest of all.
  [[nodiscard]] Digest finish() {
    end();
    return sha_.finish();
  }

 private:
  void end() {
    blocks_.close();
    if (thread_.joinable()) thread_.join();
  }
  Channel<SharedBlock> blocks_;
  Sha256 sha_;
  std::thread thread_;
};

/// Reads `source` ahead, on a thread of its own. Not copyable; destroy to abandon.
class BlockStream {
 public:
  explicit BlockStream(std::unique_ptr<ByteSource> source)
      : source_(std::move(source)),
        pool_(std::make_shared<BlockPool>()),
        thread_([this] { run(); }) {}
  /// The same, and compares the digest of everything at the end.
  BlockStream(std::unique_ptr<ByteSource> source, const Digest& expected)
      : expected_(expected),
        hasher_(std::make_unique<BlockHasher>()),
        source_(std::move(source)),
        pool_(std::make_shared<BlockPool>()),
        thread_([this] { run(); }) {}
  ~BlockStream() {
    pool_->stop();
    if (thread_.joinable()) thread_.join();
  }
  BlockStream(const BlockStream&) = delete;
  BlockStream& operator=(const BlockStream&) = delete;

  /// The next block, or none at the end. Throws what the source threw, and damaged if
  /// the digest is not the expected one.
  SharedBlock next() {
    if (auto block = filled_.pop()) return std::move(*block);
    if (thread_.joinable()) thread_.join();
    if (failure_) std::rethrow_exception(failure_);
    if (hasher_) {
      const Digest found = hasher_->finish();
      hasher_.reset();
      if (found != expected_)
        throw UnpackError(Failure::damaged, expected_.text(),
                          "the uncompressed layer has another digest, " + found.text(),
                          "fetch the archive again; it was damaged or altered");
    }
    return nullptr;
  }
  /// Reads to the end, for the checks that take place there.
  void finish() {
    while (next()) {
    }
  }

 private:
  void run() noexcept {
    try {
      for (;;) {
        auto block = pool_->take();
        if (!block) break;
        block->size = 0;
        while (block->size < Block::capacity) {
          const std::size_t n =
              source_->read({block->bytes.get() + block->size, Block::capacity - block->size});
          if (n == 0) break;
          block->size += n;
        }
        if (block->size == 0) break;
        SharedBlock shared = pool_->share(std::move(block));
        if (hasher_) hasher_->add(shared);
        filled_.push(std::move(shared));
      }
    } catch (...) {
      failure_ = std::current_exception();
    }
    filled_.close();
  }

  Digest expected_{};
  std::unique_ptr<BlockHasher> hasher_;
  std::unique_ptr<ByteSource> source_;
  std::shared_ptr<BlockPool> pool_;
  Channel<SharedBlock> filled_;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace ch::image
