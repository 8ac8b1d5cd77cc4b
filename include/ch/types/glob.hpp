// SPDX-License-Identifier: Apache-2.0
//
// Floor 2. Does a text match a shell pattern, extended globs included? The same results as fnmatch
// with FNM_EXTMATCH in the C locale, without libc and with a bound on what a hostile pattern can
// cost.
// Source: man 3 fnmatch, man 7 glob, man 1 bash (Pattern Matching).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ch {

enum class GlobResult { differs, matches, undecided };

namespace detail {

/// A set of small numbers: the bytes that an element accepts, or positions in a text.
template <std::size_t N>
class NumberSet {
 public:
  constexpr void add(std::size_t i) noexcept { words_[i / 64] |= std::uint64_t{1} << i % 64; }
  [[nodiscard]] constexpr bool has(std::size_t i) const noexcept {
    return (words_[i / 64] >> i % 64 & 1) != 0;
  }
  [[nodiscard]] constexpr bool any() const noexcept {
    for (const auto word : words_)
      if (word != 0) return true;
    return false;
  }
  constexpr void add(const NumberSet& other) noexcept {
    for (std::size_t i = 0; i < words; ++i) words_[i] |= other.words_[i];
  }
  constexpr void remove(const NumberSet& other) noexcept {
    for (std::size_t i = 0; i < words; ++i) words_[i] &= ~other.words_[i];
  }
  constexpr void complement() noexcept {
    for (auto& word : words_) word = ~word;
  }

 private:
  static constexpr std::size_t words = (N + 63) / 64;
  std::uint64_t words_[words] = {};
};

/// The characters of `[:name:]` in the C locale; false also where there is no such class.
[[nodiscard]] constexpr bool in_character_class(std::string_view name, unsigned char c) noexcept {
  const bool upper = c >= 'A' && c <= 'Z';
  const bool lower = c >= 'a' && c <= 'z';
  const bool digit = c >= '0' && c <= '9';
  const bool graph = c > ' ' && c < 0x7f;
  if (name == "upper") return upper;
  if (name == "lower") return lower;
  if (name == "digit") return digit;
  if (name == "alpha") return upper || lower;
  if (name == "alnum") return upper || lower || digit;
  if (name == "xdigit") return digit || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
  if (name == "graph") return graph;
  if (name == "print") return graph || c == ' ';
  if (name == "punct") return graph && !upper && !lower && !digit;
  if (name == "blank") return c == ' ' || c == '\t';
  if (name == "space") return c == ' ' || (c >= '\t' && c <= '\r');
  return name == "cntrl" && (c < ' ' || c == 0x7f);
}

/// One match. A pattern without groups is matched with one backtracking point, the last `*`. With
/// groups, the set of all text positions that the pattern so far can reach is advanced at once, so
/// nothing is tried twice. Recursing into the rest of the pattern at each group, as glibc does,
/// takes exponential time for `*(*(a))b`.
class GlobMatcher {
 public:
  static constexpr std::size_t max_text = 2047;  // for patterns with groups
  static constexpr int max_depth = 16;
  static constexpr std::size_t max_steps = std::size_t{1} << 22;  // 10 to 30 ms

  constexpr GlobMatcher(std::string_view pattern, std::string_view text) noexcept
      : pattern_(pattern), text_(text) {}

  [[nodiscard]] constexpr GlobResult answer() noexcept {
    const bool yes = has_group() ? grouped() : plain();
    if (steps_left_ == 0) return GlobResult::undecided;
    return yes ? GlobResult::matches : GlobResult::differs;
  }

 private:
  using Bytes = NumberSet<256>;
  using Positions = NumberSet<max_text + 1>;

  enum class Kind { byte, star, group };
  struct Element {
    Kind kind = Kind::byte;
    Bytes bytes{};           // what a byte may be
    char group = '\0';       // which of ?*+@! introduces the group
    std::size_t inside = 0;  // where a group's first alternative starts
    std::size_t next = 0;
  };

  constexpr bool spend(std::size_t steps) noexcept {
    steps_left_ -= steps < steps_left_ ? steps : steps_left_;
    return steps_left_ != 0;
  }
  [[nodiscard]] static constexpr unsigned char byte(char c) noexcept {
    return static_cast<unsigned char>(c);
  }

  // ---- reading the pattern ------------------------------------------------------------

  [[nodiscard]] constexpr bool opens_group(std::size_t at, std::size_t end) const noexcept {
    return end - at > 1 && pattern_[at + 1] == '(' &&
           std::string_view("?*+@!").find(pattern_[at]) != std::string_view::npos;
  }

  /// Reads the class name after `[:` at `at`. Returns its end, 0 if it is none.
  [[nodiscard]] constexpr std::size_t class_end(std::size_t at, std::size_t end) noexcept {
    std::size_t i = at + 2;
    while (i < end && pattern_[i] >= 'a' && pattern_[i] <= 'z') ++i;
    spend(i - at);
    return end - i > 1 && pattern_[i] == ':' && pattern_[i + 1] == ']' ? i + 2 : 0;
  }

  /// Reads the bracket expression at `at`. Returns its end, 0 if it has no `]`.
  constexpr std::size_t bracket_end(std::size_t at, std::size_t end, Bytes& bytes) noexcept {
    std::size_t i = at + 1;
    const bool other = i < end && (pattern_[i] == '!' || pattern_[i] == '^');
    if (other) ++i;
    for (const std::size_t first = i; i < end && spend(1);) {
      if (pattern_[i] == ']' && i != first) {
        if (other) bytes.complement();
        return i + 1;
      }
      if (pattern_[i] == '[' && end - i > 1 && pattern_[i + 1] == ':') {
        if (const std::size_t after = class_end(i, end); after != 0) {
          const std::string_view name(pattern_.data() + i + 2, after - i - 4);
          spend(256);
          for (unsigned c = 0; c < 256; ++c)
            if (in_character_class(name, static_cast<unsigned char>(c))) bytes.add(c);
          i = after;
          continue;
        }
      }
      if (pattern_[i] == '\\' && end - i > 1) ++i;
      const unsigned char low = byte(pattern_[i++]);
      unsigned char high = low;
      if (end - i > 1 && pattern_[i] == '-' && pattern_[i + 1] != ']') {
        i += pattern_[i + 1] == '\\' && end - i > 2 ? 2U : 1U;
        high = byte(pattern_[i++]);
        spend(32);
      }
      for (unsigned c = low; c <= high; ++c) bytes.add(c);
    }
    return 0;
  }

  /// Where the alternative that starts at `at` ends: at its `|` or `)`, else at `end`.
  constexpr std::size_t alternative_end(std::size_t at, std::size_t end) noexcept {
    std::size_t open = 0;
    while (at < end && spend(1)) {
      const char c = pattern_[at];
      if (open == 0 && (c == '|' || c == ')')) return at;
      if (c == ')') --open;
      if (c == '[') {
        Bytes ignored;
        at = bracket_end(at, end, ignored);
        if (at == 0) return end;
        continue;
      }
      const bool opens = opens_group(at, end);
      if (opens) ++open;
      at += opens || c == '\\' ? 2U : 1U;
    }
    return end;
  }

  /// The element at `at`. A group or bracket that is never closed is plain characters; a backslash
  /// at the very end accepts nothing, as with fnmatch.
  constexpr Element element(std::size_t at, std::size_t end) noexcept {
    Element e;
    char c = pattern_[at];
    if (opens_group(at, end)) {
      std::size_t i = at + 1;
      do i = alternative_end(i + 1, end);
      while (i < end && pattern_[i] == '|');
      if (i < end) return {Kind::group, {}, c, at + 2, i + 1};
    }
    e.next = at + 1;
    if (c == '*') {
      e.kind = Kind::star;
      return e;
    }
    if (c == '[') {
      if (const std::size_t after = bracket_end(at, end, e.bytes); after != 0) {
        e.next = after;
        return e;
      }
      e.bytes = {};
    }
    if (c == '\\') {
      if (e.next == end) return e;
      c = pattern_[e.next++];
    } else if (c == '?') {
      e.bytes.complement();
      return e;
    }
    e.bytes.add(byte(c));
    return e;
  }

  constexpr bool has_group() noexcept {
    for (std::size_t at = 0; at < pattern_.size() && spend(1);) {
      const Element e = element(at, pattern_.size());
      if (e.kind == Kind::group) return true;
      at = e.next;
    }
    return false;
  }

  // ---- matching ---------------------------------------------------------------------------

  constexpr bool plain() noexcept {
    const std::size_t end = pattern_.size();
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t resume_p = end + 1;  // after the last `*`; none yet
    std::size_t resume_t = 0;
    while (t < text_.size() && spend(1)) {
      if (p < end) {
        const Element e = element(p, end);
        if (e.kind == Kind::star) {
          resume_p = p = e.next;
          resume_t = t;
          continue;
        }
        if (e.bytes.has(byte(text_[t]))) {
          p = e.next;
          ++t;
          continue;
        }
      }
      if (resume_p > end) return false;
      if (resume_p == end) return true;
      p = resume_p;
      t = ++resume_t;
    }
    while (p < end && pattern_[p] == '*') ++p;
    return p == end;
  }

  constexpr bool grouped() noexcept {
    if (text_.size() > max_text) {
      steps_left_ = 0;
      return false;
    }
    Positions reached;
    reached.add(0);
    sequence(0, pattern_.size(), reached, 0);
    return reached.has(text_.size());
  }

  /// Advances `reached` through the pattern from `at` to `end`.
  constexpr void sequence(std::size_t at, std::size_t end, Positions& reached, int depth) noexcept {
    while (at < end && reached.any() && spend(text_.size() + 1)) {
      const Element e = element(at, end);
      Positions to;
      if (e.kind == Kind::group) {
        through_group(e, reached, to, depth + 1);
      } else if (e.kind == Kind::star) {
        bool behind = false;
        for (std::size_t i = 0; i <= text_.size(); ++i)
          if (behind = behind || reached.has(i); behind) to.add(i);
      } else {
        for (std::size_t i = 0; i < text_.size(); ++i)
          if (reached.has(i) && e.bytes.has(byte(text_[i]))) to.add(i + 1);
      }
      reached = to;
      at = e.next;
    }
  }

  /// Adds to `to` what one of the alternatives reaches from `from`.
  constexpr void through_one(const Element& group, const Positions& from, Positions& to,
                             int depth) noexcept {
    for (std::size_t at = group.inside; at < group.next && spend(32);) {
      const std::size_t end = alternative_end(at, group.next);
      Positions reached = from;
      sequence(at, end, reached, depth);
      to.add(reached);
      at = end + 1;
    }
  }

  constexpr void through_group(const Element& e, const Positions& from, Positions& to,
                               int depth) noexcept {
    if (depth > max_depth) steps_left_ = 0;
    if (e.group == '!') {  // from each position to all later ones that no alternative reaches
      for (std::size_t i = 0; i <= text_.size() && spend(text_.size() + 1); ++i) {
        if (!from.has(i)) continue;
        Positions start;
        Positions refused;
        start.add(i);
        through_one(e, start, refused, depth);
        for (std::size_t j = i; j <= text_.size(); ++j)
          if (!refused.has(j)) to.add(j);
      }
      return;
    }
    if (e.group == '*' || e.group == '?') to = from;
    if (e.group == '@' || e.group == '?') {
      through_one(e, from, to, depth);
      return;
    }
    for (Positions fresh = from; fresh.any() && spend(1);) {
      Positions reached;
      through_one(e, fresh, reached, depth);
      reached.remove(to);
      to.add(reached);
      fresh = reached;
    }
  }

  std::string_view pattern_;
  std::string_view text_;
  std::size_t steps_left_ = max_steps;
};

}  // namespace detail

/// Compares the whole `text` with `pattern`, byte by byte:
///
///   *  ?  \x  [abc] [!a-z] [^a-z] [[:alpha:]]     as in man 7 glob
///   ?(a|b) *(a|b) +(a|b) @(a|b) !(a|b)            zero or one, any number, one or more,
///                                                 one, anything but; a and b are patterns
///
/// A `.` or `/` is nothing special. A `[` without `]`, and a group without `)`, stand for
/// themselves; so does a group that holds such a `[`. Ranges compare byte values, and an unknown
/// class has no characters. Differences from glibc's fnmatch: collating symbols `[.x.]` and
/// equivalence classes `[=x=]` are not supported; an unknown class or an unterminated range does
/// not make the whole pattern fail; inside a group a backslash also protects `|` and `)`; and a
/// group after a `*` may match nothing (`a*@(b|)` matches "ac", as it should).
///
/// `undecided` if the comparison would cost too much: more than 2^22 steps (10 to 30 ms), groups
/// nested deeper than 16, or a pattern with groups and a text longer than 2047 bytes. Without
/// groups, the length alone does not matter. Needs at most 30 KiB of stack. Never allocates; may
/// run between clone and exec.
[[nodiscard]] constexpr GlobResult match_glob(std::string_view pattern,
                                              std::string_view text) noexcept {
  return detail::GlobMatcher(pattern, text).answer();
}

/// The same as a bool: what is undecided does not match.
[[nodiscard]] constexpr bool glob_matches(std::string_view pattern,
                                          std::string_view text) noexcept {
  return match_glob(pattern, text) == GlobResult::matches;
}

}  // namespace ch
