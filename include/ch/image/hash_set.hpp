// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. A set of hashes, to tell whether a name has occurred before: eight bytes each in one
// array, rather than a heap node each, since an archive can have millions of names. Two names with
// the same hash count as one; callers must be able to live with that.
// Source: Knuth, The Art of Computer Programming, volume 3, 6.4 (linear probing).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ch::images {

/// For one thread. Allocates at most 32 bytes for each member, while it grows.
class HashSet {
 public:
  /// False if it was there.
  bool insert(std::uint64_t hash) {
    if (size_ >= slots_.size() / 4 * 3) grow();
    std::uint64_t& slot = slots_[find(hash)];
    if (slot != 0) return false;
    slot = stored(hash);
    ++size_;
    return true;
  }
  [[nodiscard]] bool contains(std::uint64_t hash) const {
    return !slots_.empty() && slots_[find(hash)] != 0;
  }
  void clear() {
    slots_ = {};
    size_ = 0;
  }

 private:
  static std::uint64_t stored(std::uint64_t hash) { return hash == 0 ? 1 : hash; }
  /// Where it is, or would be.
  [[nodiscard]] std::size_t find(std::uint64_t hash) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = stored(hash) & mask;
    while (slots_[at] != 0 && slots_[at] != stored(hash)) at = (at + 1) & mask;
    return at;
  }
  void grow() {
    std::vector<std::uint64_t> before(slots_.empty() ? 1024 : slots_.size() * 2);
    before.swap(slots_);
    for (const std::uint64_t hash : before)
      if (hash != 0) slots_[find(hash)] = hash;
  }

  std::vector<std::uint64_t> slots_;  // a power of two of them; 0: free
  std::size_t size_ = 0;
};

}  // namespace ch::images
