// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. A tar's bytes as blocks, which are shared, not copied: the parser looks at
// headers in them, writers write files straight from them, a hasher reads them, and the last user
// returns the block. Here a thread that reads and decompresses ahead fills them; in
// mapped_blocks.hpp they are the file's own pages. The number of blocks is fixed, so memory is
// bounded and a slow writer slows the reader down.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "ch/image/byte_source.hpp"
#include "ch/io/thread.hpp"

namespace ch::images {

/// Some bytes of the stream, in memory of its own or elsewhere. Never changed once filled.
struct Block {
  static constexpr std::size_t capacity = 256 * 1024;
  std::unique_ptr<char[]> memory;
  std::span<const char> bytes;
  [[nodiscard]] std::span<const char> view() const noexcept { return bytes; }

  static Block of_size(std::size_t size) { return {std::unique_ptr<char[]>(new char[size]), {}}; }
};
using SharedBlock = std::shared_ptr<const Block>;

/// Purpose: a stream of bytes in blocks. next() returns null at the end, after all checks of the
/// whole stream; it throws io::Failed on damage. For one thread.
class BlockSource {
 public:
  virtual ~BlockSource() = default;
  virtual SharedBlock next() = 0;
  /// Reads to the end, so that the final checks are made.
  void finish() {
    while (next()) {
    }
  }
};

/// Hands out at most `limit` blocks at a time. take() waits; thread-safe.
class BlockPool : public std::enable_shared_from_this<BlockPool> {
 public:
  static constexpr std::size_t limit =
      32;  // 8 MiB: most of it stays in the cache between reader and writer

  BlockPool() { free_.reserve(limit); }  // so that give_back() can't fail

  /// A block to fill, or none once stop() was called.
  std::unique_ptr<Block> take() {
    std::unique_lock lock(mutex_);
    returned_.wait(lock, [&] { return stopped_ || !free_.empty() || made_ < limit; });
    if (stopped_) return nullptr;
    if (free_.empty()) {
      ++made_;
      return std::make_unique<Block>(Block::of_size(Block::capacity));
    }
    auto block = std::move(free_.back());
    free_.pop_back();
    return block;
  }
  /// Shares a filled block; it returns to the pool after its last use.
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

/// Passes values from one thread to another, in order. pop() waits; nullopt means the end.
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
  /// Waits for the pending blocks and returns the digest of all.
  [[nodiscard]] Digest finish() {
    end();
    return sha_.finish();
  }

 private:
  void end() {
    blocks_.close();
    thread_.join();
  }
  Channel<SharedBlock> blocks_;
  Sha256 sha_;
  io::Thread thread_;
};

/// The check of a stream's digest, if one is expected.
class DigestCheck {
 public:
  DigestCheck() = default;
  explicit DigestCheck(const Digest& expected)
      : expected_(expected), hasher_(std::make_unique<BlockHasher>()) {}

  void add(const SharedBlock& block) {
    if (hasher_) hasher_->add(block);
  }
  /// Call at the end. Throws damaged if the digest differs.
  void finish() {
    const auto hasher = std::exchange(hasher_, nullptr);
    if (!hasher) return;
    const Digest found = hasher->finish();
    if (found != expected_)
      throw io::Failed(io::Reason::damaged, expected_.text(),
                       "the uncompressed layer has a different digest, " + found.text(),
                       "fetch the archive again; it was damaged or altered");
  }

 private:
  Digest expected_{};
  std::unique_ptr<BlockHasher> hasher_;
};

/// Reads `source` ahead on its own thread. Not copyable. May be destroyed before the end.
class BlockStream final : public BlockSource {
 public:
  explicit BlockStream(std::unique_ptr<ByteSource> source, DigestCheck check = {})
      : check_(std::move(check)),
        source_(std::move(source)),
        pool_(std::make_shared<BlockPool>()),
        thread_([this] { run(); }) {}
  ~BlockStream() override {
    pool_->stop();
    thread_.join();
  }
  BlockStream(const BlockStream&) = delete;
  BlockStream& operator=(const BlockStream&) = delete;

  /// Throws what the source threw, and damaged if the digest is not the expected one.
  SharedBlock next() override {
    if (auto block = filled_.pop()) return std::move(*block);
    thread_.join();
    if (failure_) std::rethrow_exception(failure_);
    check_.finish();
    return nullptr;
  }

 private:
  void run() noexcept {
    try {
      for (;;) {
        auto block = pool_->take();
        if (!block) break;
        std::size_t size = 0;
        while (size < Block::capacity) {
          const std::size_t n = source_->read({block->memory.get() + size, Block::capacity - size});
          if (n == 0) break;
          size += n;
        }
        block->bytes = {block->memory.get(), size};
        if (size == 0) break;
        const SharedBlock shared = pool_->share(std::move(block));
        check_.add(shared);
        filled_.push(shared);
      }
    } catch (...) {
      failure_ = std::current_exception();
    }
    filled_.close();
  }

  DigestCheck check_;
  std::unique_ptr<ByteSource> source_;
  std::shared_ptr<BlockPool> pool_;
  Channel<SharedBlock> filled_;
  std::exception_ptr failure_;
  io::Thread thread_;
};

}  // namespace ch::images
