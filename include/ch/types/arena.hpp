// SPDX-License-Identifier: Apache-2.0
//
// Floor 2. Storage for the launch path, which may not touch the heap: an arena over
// bytes that the caller owns, and a sequence that grows inside it. Nothing is freed individually;
// the arena's owner releases everything at once, or everything since a mark.
#pragma once

#include <cstddef>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>

#include "ch/types/text.hpp"

namespace ch {

/// Up to `capacity` values of T in storage that someone else owns, which holds no objects
/// before push_back puts them there. `push_back` returns false when full, and leaves the sequence
/// unchanged.
template <class T>
requires std::is_trivially_copyable_v<T>
class Sequence {
 public:
  constexpr Sequence() noexcept = default;
  constexpr Sequence(T* storage, std::size_t capacity) noexcept
      : data_(storage), capacity_(storage == nullptr ? 0 : capacity) {}

  [[nodiscard]] bool push_back(const T& value) noexcept {
    if (size_ == capacity_) return false;
    ::new (static_cast<void*>(data_ + size_++)) T(value);
    return true;
  }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
  [[nodiscard]] constexpr std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] constexpr T& operator[](std::size_t i) noexcept { return data_[i]; }
  [[nodiscard]] constexpr const T& operator[](std::size_t i) const noexcept { return data_[i]; }
  [[nodiscard]] constexpr T* begin() noexcept { return data_; }
  [[nodiscard]] constexpr T* end() noexcept { return data_ + size_; }
  [[nodiscard]] constexpr const T* begin() const noexcept { return data_; }
  [[nodiscard]] constexpr const T* end() const noexcept { return data_ + size_; }
  [[nodiscard]] constexpr std::span<const T> span() const noexcept { return {data_, size_}; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

/// Hands out aligned pieces of one buffer. A request that does not fit is passed to `more`, which
/// returns a further buffer of at least that many bytes, or an empty one. Without `more`, or if it
/// returns an empty buffer, the request returns null and changes nothing.
class Arena {
 public:
  using More = std::span<std::byte> (*)(std::size_t) noexcept;

  constexpr explicit Arena(std::span<std::byte> storage, More more = nullptr) noexcept
      : storage_(storage.data()), capacity_(storage.size()), more_(more) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  [[nodiscard]] void* allocate(std::size_t size, std::size_t alignment) noexcept {
    const auto address = reinterpret_cast<std::size_t>(storage_) + used_;
    const std::size_t padding = (alignment - address % alignment) % alignment;
    if (padding > capacity_ - used_ || size > capacity_ - used_ - padding)
      return refill(size, alignment) ? allocate(size, alignment) : nullptr;
    void* piece = storage_ + used_ + padding;
    used_ += padding + size;
    return piece;
  }
  /// Resizes `piece`, of `size` bytes, to `wanted` bytes: in place if it shrinks or is the last
  /// piece handed out and there is room, else in a copy. Null, with nothing changed, if there is no
  /// room.
  [[nodiscard]] char* resize(char* piece, std::size_t size, std::size_t wanted) noexcept {
    const bool is_last = reinterpret_cast<std::byte*>(piece) + size == storage_ + used_;
    if (wanted <= size || (is_last && wanted - size <= capacity_ - used_)) {
      if (is_last) used_ = used_ - size + wanted;
      return piece;
    }
    char* const copy = static_cast<char*>(allocate(wanted, 1));
    for (std::size_t i = 0; i < size && copy != nullptr; ++i) copy[i] = piece[i];
    return copy;
  }
  /// `count` default-constructed objects, or null. Only for types that need no destructor.
  template <class T>
  requires std::is_trivially_destructible_v<T>
  [[nodiscard]] T* make(std::size_t count = 1) noexcept {
    if (count > max_size / sizeof(T)) return nullptr;
    void* piece = allocate(sizeof(T) * count, alignof(T));
    if (piece == nullptr) return nullptr;
    T* first = static_cast<T*>(piece);
    for (std::size_t i = 0; i < count; ++i) ::new (static_cast<void*>(first + i)) T();
    return first;
  }
  /// An empty sequence with room for `capacity` values, or for none if the arena is full.
  /// The storage is not touched: a page that is never used costs no page fault.
  template <class T>
  [[nodiscard]] Sequence<T> sequence(std::size_t capacity) noexcept {
    if (capacity > max_size / sizeof(T)) return {};
    return {static_cast<T*>(allocate(sizeof(T) * capacity, alignof(T))), capacity};
  }
  /// Appends to `values`. If it is full, moves it to a storage twice as large; the old storage is
  /// wasted. False, with nothing changed, if there is no room.
  template <class T>
  [[nodiscard]] bool push_back(Sequence<T>& values, const T& value) noexcept {
    if (values.push_back(value)) return true;
    Sequence<T> longer = sequence<T>(values.capacity() * 2 + 8);
    if (longer.capacity() == 0) return false;
    for (const T& old : values) (void)longer.push_back(old);
    values = longer;
    return values.push_back(value);
  }
  /// A NUL-terminated copy of the pieces, one after the other, or null.
  template <class... Pieces>
  [[nodiscard]] const char* join(Pieces... pieces) noexcept {
    const std::string_view views[] = {std::string_view(pieces)...};
    return join_all(views);
  }
  [[nodiscard]] const char* join_all(std::span<const std::string_view> pieces) noexcept {
    std::size_t size = 1;
    for (const auto piece : pieces) size += piece.size();
    char* copy = static_cast<char*>(allocate(size, 1));
    if (copy == nullptr) return nullptr;
    char* out = copy;
    for (const auto piece : pieces)
      for (const char c : piece) *out++ = c;
    *out = '\0';
    return copy;
  }

  /// How far an arena is used, for rewind().
  class Mark {
    friend class Arena;
    std::byte* storage = nullptr;
    std::size_t capacity = 0;
    std::size_t used = 0;
  };
  [[nodiscard]] Mark mark() const noexcept {
    Mark here;
    here.storage = storage_;
    here.capacity = capacity_;
    here.used = used_;
    return here;
  }
  /// Releases everything handed out since `mark`, an earlier mark of this arena; nothing may refer
  /// to it any more. Buffers obtained from `more` since then are no longer used.
  void rewind(const Mark& mark) noexcept {
    storage_ = mark.storage;
    capacity_ = mark.capacity;
    used_ = mark.used;
  }

  [[nodiscard]] std::size_t used() const noexcept { return used_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

 private:
  static constexpr std::size_t max_size = ~std::size_t{0} / 4;

  /// Continues in a further buffer that has room for the request; the rest of this one is wasted.
  [[nodiscard]] bool refill(std::size_t size, std::size_t alignment) noexcept {
    if (more_ == nullptr || size > max_size) return false;
    const std::span<std::byte> further = more_(size + alignment);
    if (further.size() < size + alignment) return false;
    storage_ = further.data();
    capacity_ = further.size();
    used_ = 0;
    return true;
  }

  std::byte* storage_;
  std::size_t capacity_;
  More more_;
  std::size_t used_ = 0;
};

/// An arena with its own N bytes.
template <std::size_t N>
class ArenaOf : public Arena {
 public:
  ArenaOf() noexcept : Arena(std::span<std::byte>(bytes_, N)) {}

 private:
  alignas(std::max_align_t) std::byte bytes_[N];
};

}  // namespace ch
