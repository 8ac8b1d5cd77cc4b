// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. Everything about an option in one place: how it is spelled and shown, what its argument
// can be, and what it does to a tool's values. From one array of these come the table for parser
// and help, the handlers, and the completions; a program contains only those that it uses. No heap,
// no libc.
//
//   struct Values { bool force = false; const char* image = nullptr; };
//   constexpr Described<Values> rows[] = {
//       {{'f', "force", "", "replace what is there", "How"}, sets<&Values::force, true>},
//       {{'i', "image", "NAME", "which image", "What"}, text<&Values::image>},
//   };
#pragma once

#include <array>
#include <initializer_list>

#include "ch/cli/option.hpp"

namespace ch::cli {

/// A wrong command line: what is wrong, with which word, and a remedy, unless that is just to read
/// the help.
struct UsageError {
  const char* problem = nullptr;
  std::string_view subject{};
  const char* remedy = nullptr;

  [[nodiscard]] constexpr explicit operator bool() const noexcept { return problem != nullptr; }
};

/// The problem with an argument whose placeholder and help say enough.
inline constexpr char not_valid[] = "this argument is not valid";

/// Applies an option to the values. `argument` is null if there is none, and valid as long as the
/// program runs. Returns null, or what is wrong with the argument.
template <class Values>
using OptionHandler = const char*(Values& values, const char* argument);

/// What may stand for an argument or an operand, for completion.
enum class Completes : std::uint8_t {
  nothing,          // a number, a name: nothing to offer
  words,            // one of some words
  list,             // several of them, with commas
  file,             // of the host
  directory,        // of the host
  bind,             // SRC[:DST[:ro]]
  image,            // a directory of the host; what the next two look into
  image_directory,  // in the image; of the host while the image is not known
  image_program,    // a name from the image's PATH, or a path in the image
};

/// What one option's argument can be. `words` have blanks between them.
struct Completion {
  Completes kind = Completes::nothing;
  std::string_view words{};
};

/// An option with everything about it. An alias of the row above has only `shown`.
template <class Values>
struct Described {
  Option shown{};
  OptionHandler<Values>* take = nullptr;
  Completion argument{};
};

template <class Values, std::size_t n>
[[nodiscard]] consteval std::array<Option, n> options_of(const Described<Values> (&rows)[n]) {
  std::array<Option, n> options{};
  for (std::size_t i = 0; i < n; ++i) options[i] = rows[i].shown;
  return options;
}
template <class Values, std::size_t n>
[[nodiscard]] consteval std::array<OptionHandler<Values>*, n> handlers_of(
    const Described<Values> (&rows)[n]) {
  std::array<OptionHandler<Values>*, n> handlers{};
  for (std::size_t i = 0; i < n; ++i) handlers[i] = rows[i].take;
  return handlers;
}
template <class Values, std::size_t n>
[[nodiscard]] consteval std::array<Completion, n> completions_of(
    const Described<Values> (&rows)[n]) {
  std::array<Completion, n> all{};
  for (std::size_t i = 0; i < n; ++i) all[i] = rows[i].argument;
  return all;
}
namespace detail {
void no_option_has_this_name();  // so that the compiler's error names it
}  // namespace detail

/// Some rows of a table, by the names of their options.
class RowSet {
 public:
  template <std::size_t n>
  consteval RowSet(const std::array<Option, n>& options,
                   std::initializer_list<std::string_view> names) {
    static_assert(n <= 64);
    for (const std::string_view name : names) {
      std::size_t row = 0;
      while (row < n && name != options[row].name) ++row;
      if (row == n) detail::no_option_has_this_name();
      rows_ |= std::uint64_t{1} << row;
    }
  }
  [[nodiscard]] constexpr bool has(std::size_t row) const noexcept { return rows_ >> row & 1; }

 private:
  std::uint64_t rows_ = 0;
};

// ---- what options usually do --------------------------------------------------------

namespace detail {
template <class Class, class Member>
Class class_of_(Member Class::*);
template <auto member>
using ClassOf = decltype(class_of_(member));
}  // namespace detail

/// The option sets a member to a value.
template <auto member, auto value>
const char* sets(detail::ClassOf<member>& values, const char*) noexcept {
  values.*member = value;
  return nullptr;
}

/// Counts the option: -vv.
template <auto member>
const char* counts(detail::ClassOf<member>& values, const char*) noexcept {
  ++(values.*member);
  return nullptr;
}

/// The argument itself is the value.
template <auto member>
const char* text(detail::ClassOf<member>& values, const char* argument) {
  values.*member = argument;
  return nullptr;
}

/// The argument is a number in a range.
template <auto member, std::uint64_t least, std::uint64_t most>
const char* number(detail::ClassOf<member>& values, const char* argument) noexcept {
  std::uint64_t n = 0;
  if (!parse_number(argument, most, n) || n < least) return not_valid;
  using Member = std::remove_reference_t<decltype(values.*member)>;
  values.*member = static_cast<Member>(n);
  return nullptr;
}

/// Finds `wanted` among `words`, which are separated by blanks. False: it is not there.
[[nodiscard]] constexpr bool find_word(std::string_view words, std::string_view wanted,
                                       std::size_t& number) noexcept {
  for (number = 0; !words.empty(); ++number) {
    const std::string_view word = head(words, words.find(' '));
    if (word == wanted) return true;
    words = tail(words, word.size() + 1);
  }
  return false;
}

/// The argument is one of some words; the value is the enumerator with the word's number.
template <auto member, const auto& words>
const char* one_of(detail::ClassOf<member>& values, const char* argument) noexcept {
  std::size_t number = 0;
  if (!find_word(words, argument, number)) return not_valid;
  using Member = std::remove_reference_t<decltype(values.*member)>;
  values.*member = static_cast<Member>(number);
  return nullptr;
}

/// Applies the option to a part of the values.
template <auto part, auto take>
const char* in(detail::ClassOf<part>& values, const char* argument) {
  return take(values.*part, argument);
}

// ---- reading a command line ---------------------------------------------------------

/// What was wrong, and for a wrong argument with which option.
struct ReadError : UsageError {
  const Option* option = nullptr;
};

/// Never stops early.
inline constexpr auto to_the_end = [](std::size_t) noexcept { return true; };

/// Reads a command line into `values`: options by `handlers`, one for each row of `table`;
/// operands by `operand(text)`, which returns a UsageError. After each option, `go_on(row)` tells
/// whether to continue: what follows an option such as --help need not be read. What follows
/// operand number `last`, the name of a command, is not read as options.
template <class Values, std::size_t n, class Operand, class GoOn = decltype(to_the_end)&>
ReadError read(const std::array<Option, n>& table,
               const std::array<OptionHandler<Values>*, n>& handlers, int argc,
               const char* const* argv, Values& values, Operand&& operand,
               GoOn&& go_on = to_the_end, std::size_t last = 0) {
  Parser parser(table, argc, argv);
  for (;;) {
    const Item item = parser.next();
    switch (item.kind) {
      case Item::Kind::end:
        return {};
      case Item::Kind::error:
        return {{item.problem, item.subject}};
      case Item::Kind::operand:
        if (const UsageError wrong = operand(item.value)) return {wrong};
        if (--last == 0) parser.stop_options();
        break;
      case Item::Kind::option:
        if (const char* const problem = handlers[item.index](values, item.value))
          return {{problem, item.value == nullptr ? "" : item.value}, &table[item.index]};
        if (!go_on(item.index)) return {};
    }
  }
}

}  // namespace ch::cli
