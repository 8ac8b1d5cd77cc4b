// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. The words of a program to start, owned: {"lmp", "-in", file}.
#pragma once

#include <initializer_list>
#include <vector>

#include "ch/hosted/given.hpp"

namespace ch {

/// A program and its arguments. The first word is looked for in the *container's* PATH unless
/// it has a slash. Without words: the command that the image records.
class Command {
 public:
  Command() = default;
  Command(std::initializer_list<Given> words) {  // NOLINT: implicit, so that braces suffice
    words_.reserve(words.size());
    for (const Given& word : words) words_.push_back(word.str());
  }
  Command(std::vector<std::string> words) noexcept : words_(std::move(words)) {}  // NOLINT
  /// Refuses a text alone.
  template <class Text>
  requires(!std::same_as<Text, Command> && !std::is_null_pointer_v<Text> &&
           std::constructible_from<Given, const Text&>) Command(const Text&) {  // NOLINT
    static_assert(detail::never<Text>,
                  "Charlie: a command is a list of words, which no shell splits: write {PROGRAM, "
                  "ARGUMENT, ...} with a text for each.");
  }
  /// Refuses argv itself.
  template <class Words>
  requires std::is_pointer_v<Words> && std::convertible_to<Words, const char* const*> Command(
      Words) {  // NOLINT
    static_assert(detail::never<Words>,
                  "Charlie: write ch::Command::of(argv + 1) for words that end in a null pointer, "
                  "as those of main do.");
  }
  /// `argv` as main gets it, or a part of it; ends in null.
  [[nodiscard]] static Command of(const char* const* argv) {
    Command command;
    for (; argv != nullptr && *argv != nullptr; ++argv) command.words_.emplace_back(*argv);
    return command;
  }

  [[nodiscard]] const std::vector<std::string>& words() const noexcept { return words_; }
  /// Null-terminated views of the words, for execve; none if there are no words.
  [[nodiscard]] std::vector<const char*> argv() const {
    std::vector<const char*> views;
    if (words_.empty()) return views;
    views.reserve(words_.size() + 1);
    for (const std::string& word : words_) views.push_back(word.c_str());
    views.push_back(nullptr);
    return views;
  }

 private:
  std::vector<std::string> words_;
};

}  // namespace ch
