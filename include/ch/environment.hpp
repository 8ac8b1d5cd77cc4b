// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. The environment of the program that will run, edited before the container is
// made and without a heap: an array of NAME=VALUE pointers in an arena.
// Source: man 7 environ.
#pragma once

#include "ch/types/arena.hpp"

namespace ch {

/// Variables in order, each name once as far as `set` and `unset` are concerned: what the
/// caller inherited twice is edited in all places. Texts are views until `set` makes new
/// ones in the arena; nothing is ever freed. What is inherited may be anything: an entry
/// without '=' is passed on, and has a name but no value. Names to ask for or to set are
/// neither empty nor hold '='. Each edit takes time linear in the number of variables.
/// Not for use between clone and exec.
class Environment {
 public:
  /// Takes over `inherited` (null-terminated) with room for `extra` new variables; more
  /// than these cost a longer array.
  Environment(Arena& arena, const char* const* inherited, std::size_t extra = 64) noexcept
      : arena_(arena) {
    std::size_t count = 0;
    while (inherited[count] != nullptr) ++count;
    variables_ = arena.make<const char*>(count + extra + 1);
    capacity_ = variables_ == nullptr ? 0 : count + extra;
    full_ = variables_ == nullptr;
    for (std::size_t i = 0; i < count && !full_; ++i) variables_[size_++] = inherited[i];
  }

  /// The value of `name`, or null if it is not set.
  [[nodiscard]] const char* get(std::string_view name) const noexcept {
    const std::size_t at = find(name);
    return at == size_ ? nullptr : variables_[at] + name.size() + 1;
  }

  void set(std::string_view name, std::string_view value) noexcept {
    adopt(name, arena_.join(name, "=", value));
  }
  /// Sets `name` to what `text`, which must read NAME=VALUE and is not copied, says. Null
  /// stands for a text that found no room.
  void adopt(std::string_view name, const char* text) noexcept {
    const std::size_t at = find(name);
    if (text == nullptr || (at == size_ && !has_room())) {
      full_ = true;
      return;
    }
    variables_[at] = text;
    if (at == size_)
      ++size_;
    else
      remove_from(at + 1, [name](const char* variable) noexcept { return is(name, variable); });
  }

  void unset(std::string_view name) noexcept {
    remove_from(0, [name](const char* variable) noexcept { return is(name, variable); });
  }
  /// Unsets the variables whose names `chosen` says yes to.
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
  /// Where texts to adopt can be made.
  [[nodiscard]] Arena& arena() noexcept { return arena_; }

 private:
  [[nodiscard]] static bool is(std::string_view name, const char* variable) noexcept {
    for (const char c : name)
      if (*variable == '\0' || *variable++ != c) return false;
    return *variable == '=';
  }
  [[nodiscard]] std::size_t find(std::string_view name) const noexcept {
    std::size_t at = 0;
    while (at < size_ && !is(name, variables_[at])) ++at;
    return at;
  }
  [[nodiscard]] bool has_room() noexcept {
    if (size_ < capacity_) return true;
    const std::size_t longer = 2 * capacity_ + 64;
    const char** variables = arena_.make<const char*>(longer + 1);
    if (variables == nullptr) return false;
    for (std::size_t i = 0; i < size_; ++i) variables[i] = variables_[i];
    variables_ = variables;
    capacity_ = longer;
    return true;
  }
  template <class Predicate>
  void remove_from(std::size_t from, Predicate goes) noexcept {
    std::size_t kept = from;
    for (std::size_t i = from; i < size_; ++i)
      if (!goes(variables_[i])) variables_[kept++] = variables_[i];
    if (kept < size_) size_ = kept;
  }

  Arena& arena_;
  const char** variables_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  bool full_ = false;
};

}  // namespace ch
