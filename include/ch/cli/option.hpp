// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. Options as shown by help, manual page and completion, and the parser that finds them in
// a command line. described.hpp adds what each of them does, in the same table. GNU habits:
// --opt=value, --opt value, unambiguous prefixes, -vv, -fVALUE, options between operands until
// "--". No heap, no libc: ch-run parses with it.
// Source: GNU C library manual, "Argument Syntax".
#pragma once

#include <span>

#include "ch/types/text.hpp"

namespace ch::cli {

enum class Argument : std::uint8_t { none, required, optional };

/// One option. A row without help is an alias of the row above it, and takes its argument in the
/// same way.
struct Option {
  constexpr Option() noexcept = default;
  /// `shown` is the argument's placeholder: "" if the option takes none, "DIR" if it is required,
  /// "[WHEN]" if it is optional.
  constexpr Option(char short_name, const char* long_name, const char* shown,
                   const char* help_text = "", const char* group_name = "") noexcept
      : letter(short_name),
        argument(*shown == '\0'  ? Argument::none
                 : *shown == '[' ? Argument::optional
                                 : Argument::required),
        name(long_name),
        placeholder(shown),
        help(help_text),
        group(group_name) {}

  /// Is it an alias of the row above?
  [[nodiscard]] constexpr bool is_alias() const noexcept { return help[0] == '\0'; }
  /// The placeholder without the brackets that say "optional".
  [[nodiscard]] constexpr std::string_view argument_name() const noexcept {
    const std::string_view shown(placeholder);
    return argument == Argument::optional ? tail(head(shown, shown.size() - 1), 1) : shown;
  }

  char letter = '\0';  // none: '\0'
  Argument argument = Argument::none;
  const char* name = "";         // none: ""
  const char* placeholder = "";  // as given: with the brackets
  const char* help = "";
  const char* group = "";
};

/// The problem with an abbreviation of several options.
inline constexpr char ambiguous_option[] = "ambiguous option";

/// What the parser found next.
struct Item {
  enum class Kind : std::uint8_t { option, operand, end, error };
  Kind kind = Kind::end;
  std::size_t index = 0;          // option: its row in the table, never that of an alias
  const char* value = nullptr;    // operand, or an option's argument; null if none given
  const char* problem = nullptr;  // error: "unknown option", ...
  std::string_view subject{};     // error: as the user wrote it
};

/// Walks argv from its second word.
class Parser {
 public:
  Parser(std::span<const Option> table, int argc, const char* const* argv) noexcept
      : table_(table), argc_(argc), argv_(argv) {}

  [[nodiscard]] Item next() noexcept {
    if (cluster_ != nullptr && *cluster_ != '\0') return letter();
    cluster_ = nullptr;
    if (at_ >= argc_) return {};
    const char* word = argv_[at_++];
    if (only_operands_ || word[0] != '-' || word[1] == '\0')
      return {.kind = Item::Kind::operand, .value = word};
    if (word[1] != '-') {
      cluster_ = word + 1;
      return letter();
    }
    if (word[2] == '\0') {
      only_operands_ = true;
      return next();
    }
    return long_option(word);
  }

  /// After this, every word is an operand, as after "--".
  void stop_options() noexcept { only_operands_ = true; }

 private:
  static Item problem(const char* what, std::string_view subject) noexcept {
    return {.kind = Item::Kind::error, .problem = what, .subject = subject};
  }

  /// What follows `prefix` in `text`; null if it does not begin with that. Most rows of a table
  /// differ in the first letter, so this avoids strlen.
  static const char* after_prefix(std::string_view prefix, const char* text) noexcept {
    for (const char c : prefix)
      if (*text++ != c) return nullptr;
    return text;
  }

  /// The row of `o`, or of the option that it is an alias of.
  std::size_t row_of(const Option& o) const noexcept {
    auto row = static_cast<std::size_t>(&o - table_.data());
    while (row > 0 && table_[row].is_alias()) --row;
    return row;
  }

  Item letter() noexcept {
    const char c = *cluster_++;
    for (const Option& o : table_) {
      if (o.letter != c) continue;
      Item item{.kind = Item::Kind::option, .index = row_of(o)};
      if (o.argument == Argument::none) return item;
      if (*cluster_ != '\0')
        item.value = cluster_;
      else if (o.argument == Argument::required && at_ < argc_)
        item.value = argv_[at_++];
      else if (o.argument == Argument::required)
        return problem("this option needs an argument", {cluster_ - 1, 1});
      cluster_ = nullptr;
      return item;
    }
    return problem("unknown option", {cluster_ - 1, 1});
  }

  Item long_option(const char* word) noexcept {
    const std::string_view text(word);
    const auto equals = text.find('=');
    const auto name = tail(head(text, equals), 2);
    const Option* found = nullptr;
    bool several = false;
    for (const Option& o : table_) {
      const char* const rest = after_prefix(name, o.name);
      if (rest == nullptr || o.name[0] == '\0') continue;
      if (*rest == '\0') {  // an exact match beats any prefix
        found = &o;
        several = false;
        break;
      }
      several = several || (found != nullptr && row_of(*found) != row_of(o));
      found = &o;
    }
    if (several) return problem(ambiguous_option, text);
    if (found == nullptr) return problem("unknown option", text);
    Item item{.kind = Item::Kind::option, .index = row_of(*found)};
    if (equals != std::string_view::npos) {
      if (found->argument == Argument::none) return problem("this option takes no argument", text);
      item.value = word + equals + 1;
    } else if (found->argument == Argument::required) {
      if (at_ >= argc_) return problem("this option needs an argument", text);
      item.value = argv_[at_++];
    }
    return item;
  }

  std::span<const Option> table_;
  int argc_;
  const char* const* argv_;
  int at_ = 1;
  const char* cluster_ = nullptr;
  bool only_operands_ = false;
};

}  // namespace ch::cli
