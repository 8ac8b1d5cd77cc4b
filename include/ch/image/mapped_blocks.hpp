// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. The bytes of an uncompressed archive, straight from the page cache: no copy and no
// thread in between, a quarter less work than reading. The price: if the file is truncated or the
// disk fails, there is a signal (SIGBUS) instead of an errno. So this is only for a process that
// another one watches (contained.hpp).
// Source: man 2 mmap; man 2 posix_fadvise.
#pragma once

#include <sys/mman.h>

#include "ch/image/block_stream.hpp"

namespace ch::images {

/// How to read an uncompressed archive. `mapped`: SIGBUS is expected and means damage.
enum class Reading { by_calls, mapped };

/// A stretch of a file, mapped window by window. At most 32 MiB at a time are mapped, so a
/// slow writer slows the parser down.
class MappedBlocks final : public BlockSource {
 public:
  MappedBlocks(FileRange range, InputWatch& watch, DigestCheck check = {})
      : range_(range), watch_(watch), check_(std::move(check)), room_(std::make_shared<Room>()) {}

  /// Can this file be mapped? Some network and FUSE file systems don't support it.
  [[nodiscard]] static bool possible(int fd) {
    void* at = ::mmap(nullptr, page, PROT_READ, MAP_PRIVATE, fd, 0);
    return at != MAP_FAILED && ::munmap(at, page) == 0;
  }

  /// Throws what man 2 mmap says, interrupted, and what DigestCheck throws.
  SharedBlock next() override {
    watch_.check();
    if (range_.size == 0) {
      check_.finish();
      return nullptr;
    }
    const std::size_t extra = range_.offset % page;  // a mapping begins at a page boundary
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(range_.size, window - extra));
    room_->take();
    void* at = ::mmap(nullptr, size + extra, PROT_READ, MAP_PRIVATE, range_.fd,
                      static_cast<off_t>(range_.offset - extra));
    if (at == MAP_FAILED) {
      const int why = errno;
      room_->give_back();
      io::throw_errno("map", "the archive", why);
    }
    SharedBlock block(new Block{nullptr, {static_cast<const char*>(at) + extra, size}},
                      [at, length = size + extra, room = room_](const Block* b) {
                        delete b;
                        ::munmap(at, length);
                        room->give_back();
                      });
    range_.offset += size;
    range_.size -= size;
    // Let the kernel fetch the next window while this one is parsed.
    (void)::posix_fadvise(range_.fd, static_cast<off_t>(range_.offset), window,
                          POSIX_FADV_WILLNEED);
    watch_.bytes_read += size;
    check_.add(block);
    return block;
  }

  static constexpr std::size_t window = 1024 * 1024;
  static constexpr int windows = 32;

 private:
  static constexpr std::size_t page = 64 * 1024;  // no machine has larger ones

  /// Limits the number of windows.
  class Room {
   public:
    void take() {
      std::unique_lock lock(mutex_);
      returned_.wait(lock, [&] { return taken_ < windows; });
      ++taken_;
    }
    void give_back() {
      const std::lock_guard lock(mutex_);
      --taken_;
      returned_.notify_one();
    }

   private:
    std::mutex mutex_;
    std::condition_variable returned_;
    int taken_ = 0;
  };

  FileRange range_;
  InputWatch& watch_;
  DigestCheck check_;
  std::shared_ptr<Room> room_;
};

}  // namespace ch::images
