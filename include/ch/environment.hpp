// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. The environment of the program that will run, edited before the container is
// made and without a heap: an array of NAME=VALUE pointers in an arena.
// Source: man 7 environ.
#pragma once

#include "ch/types/arena.hpp"

namespace ch {

/// Variables in order. If a name was inherited more than once, `set` leaves one entry and `unset`
/// none. Texts are views until `set` makes new ones in the arena; nothing is ever freed. Inherited
/// entries may be malformed: one without '=' is passed on, and has a name but no value. Names
/// passed to `get` and `set` are not empty and contain no '='. A look-up or `set` takes the same
/// time however many variables there are (there is a hash table of names); `unset` takes time
/// linear in their number. Not for use between clone and exec.
class Environment {
 public:
  /// Takes over `inherited` (null-terminated; null: none), with room for `extra` new variables;
  /// beyond these, the array is reallocated.
  Environment(Arena& arena, const char* const* inherited, std::size_t extra = 64) noexcept
      : arena_(arena) {
    while (inherited != nullptr && inherited[size_] != nullptr) ++size_;
    full_ = !make_room(inherited, size_ + extra);
    if (full_) size_ = 0;
  }

  /// The value of `name`, or null if it is not set.
  [[nodiscard]] const char* get(std::string_view name) const noexcept {
    const std::size_t at = find(name);
    return at == size_ ? nullptr : variables_[at] + name.size() + 1;
  }

  void set(std::string_view name, std::string_view value) noexcept {
    adopt(name, arena_.join(name, "=", value));
  }
  /// Sets `name` by `text`, which must read NAME=VALUE and is not copied. Null means that there was
  /// no room for the text.
  void adopt(std::string_view name, const char* text) noexcept {
    const std::size_t at = find(name);
    if (text == nullptr || (at == size_ && !has_room())) {
      full_ = true;
      return;
    }
    variables_[at] = text;
    if (at == size_)
      add_to_table(size_++);
    else if (has_duplicates_)
      remove_from(at + 1, [name](const char* variable) noexcept { return is(name, variable); });
  }

  void unset(std::string_view name) noexcept {
    if (find(name) == size_) return;
    remove_from(0, [name](const char* variable) noexcept { return is(name, variable); });
  }
  /// Unsets the variables whose names satisfy `chosen`.
  template <class Predicate>
  void unset_if(Predicate chosen) noexcept {
    remove_from(0, [&chosen](const char* variable) noexcept {
      const std::string_view text(variable);
      return chosen(head(text, text.find('=')));
    });
  }

  /// For execve: null-terminated. Null if the arena was too small at any time.
  [[nodiscard]] const char* const* envp() noexcept {
    if (full_) return nullptr;
    variables_[size_] = nullptr;
    return variables_;
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Was the arena too small at any time?
  [[nodiscard]] bool full() const noexcept { return full_; }
  /// For texts to be passed to `adopt`.
  [[nodiscard]] Arena& arena() noexcept { return arena_; }

 private:
  [[nodiscard]] static bool is(std::string_view name, const char* variable) noexcept {
    for (const char c : name)
      if (*variable == '\0' || *variable++ != c) return false;
    return *variable == '=';
  }
  /// The name of an entry that has a value; else empty.
  [[nodiscard]] static std::string_view name_of(const char* variable) noexcept {
    std::size_t end = 0;
    while (variable[end] != '=' && variable[end] != '\0') ++end;
    return {variable, variable[end] == '=' ? end : 0};
  }
  /// The slot of `name` in the hash table: its position, counted from 1, or 0 if it is not set.
  [[nodiscard]] std::uint32_t& slot(std::string_view name) const noexcept {
    std::uint32_t hash = 2166136261;  // FNV-1a
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619;
    std::size_t at = (hash ^ hash >> 16) & mask_;
    while (table_[at] != 0 && !is(name, variables_[table_[at] - 1])) at = (at + 1) & mask_;
    return table_[at];
  }
  [[nodiscard]] std::size_t find(std::string_view name) const noexcept {
    const std::uint32_t at = table_ == nullptr ? 0 : slot(name);
    return at == 0 ? size_ : at - 1;
  }
  void add_to_table(std::size_t at) noexcept {
    const std::string_view name = name_of(variables_[at]);
    if (name.empty()) return;
    std::uint32_t& known = slot(name);
    has_duplicates_ = has_duplicates_ || known != 0;
    if (known == 0) known = static_cast<std::uint32_t>(at + 1);
  }
  void rebuild_table() noexcept {
    for (std::size_t i = 0; i <= mask_; ++i) table_[i] = 0;
    has_duplicates_ = false;
    for (std::size_t i = 0; i < size_; ++i) add_to_table(i);
  }
  /// Allocates an array for `capacity` variables, which begins with `variables`, and a hash table
  /// that is at most half full.
  [[nodiscard]] bool make_room(const char* const* variables, std::size_t capacity) noexcept {
    std::size_t slots = 16;
    while (slots < 2 * capacity) slots *= 2;
    const char** const longer = arena_.make<const char*>(capacity + 1);
    auto* const table = arena_.make<std::uint32_t>(slots);
    if (longer == nullptr || table == nullptr) return false;
    for (std::size_t i = 0; i < size_; ++i) longer[i] = variables[i];
    variables_ = longer;
    capacity_ = capacity;
    table_ = table;
    mask_ = slots - 1;
    rebuild_table();
    return true;
  }
  [[nodiscard]] bool has_room() noexcept {
    return size_ < capacity_ || make_room(variables_, 2 * capacity_ + 64);
  }
  template <class Predicate>
  void remove_from(std::size_t from, Predicate goes) noexcept {
    std::size_t kept = from;
    for (std::size_t i = from; i < size_; ++i)
      if (!goes(variables_[i])) variables_[kept++] = variables_[i];
    if (kept >= size_) return;
    size_ = kept;
    rebuild_table();
  }

  Arena& arena_;
  const char** variables_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  std::uint32_t* table_ = nullptr;
  std::size_t mask_ = 0;
  bool has_duplicates_ = false;  // some name occurs more than once
  bool full_ = false;
};

}  // namespace ch
