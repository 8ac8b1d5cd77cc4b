// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. Applies ch-run's environment options to an Environment: the grammar of assignments and
// of files of assignments, `$NAME` in values, and globs of names. No heap; not for use between
// clone and exec.
// Source: Charliecloud's ch-run(1), "Environment variables", and bin/ch_misc.c.
#pragma once

#include "ch/environment.hpp"
#include "ch/kernel/process.hpp"
#include "ch/types/glob.hpp"

namespace ch {

enum class EditKind {
  set_assignment,  // text is NAME=VALUE
  set_lines,       // text is a file with one NAME=VALUE in each line
  set_records,     // the same with a NUL after each, as in /proc/PID/environ
  unset_glob,      // text is a pattern of names, see match_glob
};

/// Is `$NAME` in values replaced?
enum class Expansion { on, off };

/// One edit. Plain data; the texts are views. A list of edits is applied in order, and each sees
/// the effect of those before it.
struct EnvironmentEdit {
  EditKind kind = EditKind::set_assignment;
  std::string_view text{};
  std::string_view file{};  // what messages call the file; empty if there is none
  Expansion expansion = Expansion::on;
};

/// Why an edit could not be made: the message, its subject, and the position (lines and records
/// count from 1; 0 outside of a file). An empty message means success.
struct EditProblem {
  const char* problem = "";
  std::string_view subject{};
  std::string_view file{};
  std::size_t line = 0;
  bool of_image = false;  // the file is the image's, not one that the caller named

  [[nodiscard]] constexpr bool ok() const noexcept { return *problem == '\0'; }
};

/// Writes "can't parse variable: no delimiter: FILE:LINE", or the subject if no file.
constexpr TextWriter& operator<<(TextWriter& out, const EditProblem& problem) noexcept {
  out << problem.problem;
  if (!problem.file.empty())
    return out << ": " << problem.file << ':' << std::uint64_t{problem.line};
  return problem.subject.empty() ? out : out << ": " << problem.subject;
}

namespace detail {

/// Without the single quotes around it, if it has both.
[[nodiscard]] constexpr std::string_view unquoted(std::string_view text) noexcept {
  const bool quoted = text.size() >= 2 && text.front() == '\'' && text.back() == '\'';
  return quoted ? head(tail(text, 1), text.size() - 2) : text;
}

/// `$NAME` or `${NAME}` at the start of a text; size 0 if there is neither.
struct VariableReference {
  std::string_view name{};
  std::size_t size = 0;
};

[[nodiscard]] constexpr VariableReference leading_reference(std::string_view text) noexcept {
  if (text.empty() || text.front() != '$') return {};
  const std::size_t braces = text.size() > 1 && text[1] == '{' ? 1 : 0;
  const std::size_t first = 1 + braces;
  std::size_t end = first;
  while (end < text.size() &&
         (text[end] == '_' || in_character_class(end == first ? "alpha" : "alnum",
                                                 static_cast<unsigned char>(text[end]))))
    ++end;
  if (end == first || (braces == 1 && (end == text.size() || text[end] != '}'))) return {};
  return {head(tail(text, first), end - first), end + braces};
}

/// The value of a variable whose name may be any non-empty text; null if it is not set.
[[nodiscard]] inline const char* value_of(const Environment& environment,
                                          std::string_view name) noexcept {
  return name.find('=') == std::string_view::npos ? environment.get(name) : nullptr;
}

/// Receives an expanded value piece by piece. Counts its size and, if there is a buffer, stores its
/// bytes.
struct Expanded {
  char* end = nullptr;
  std::size_t size = 0;

  void operator()(std::string_view piece) noexcept {
    size += piece.size();
    if (end == nullptr) return;
    for (const char c : piece) *end++ = c;
  }
};

/// Appends the expansion of one item of a value to `all`, preceded by `colon` unless the expansion
/// is empty. Returns whether there was anything to replace.
inline bool expand_item(const Environment& environment, std::string_view item,
                        std::string_view colon, Expanded& all) noexcept {
  const std::size_t before = all.size;
  const auto out = [&](std::string_view piece) noexcept {
    if (piece.empty()) return;
    if (all.size == before) all(colon);
    all(piece);
  };
  const bool may_be_name = item.size() > 1 && item.front() == '$';
  if (const char* value = may_be_name ? value_of(environment, tail(item, 1)) : nullptr) {
    out(std::string_view(value));
    return true;
  }
  bool replaced = false;
  while (!item.empty()) {
    const VariableReference reference = leading_reference(item);
    if (reference.size != 0) {
      const char* value = environment.get(reference.name);
      if (value != nullptr) out(std::string_view(value));
      replaced = true;
    }
    item = tail(item, reference.size);
    // A '$' that starts no reference is an ordinary character, so search after it.
    const std::size_t literal = reference.size != 0 ? item.find('$') : item.find('$', 1);
    out(head(item, literal));
    item = tail(item, literal);
  }
  return replaced;
}

/// Passes the expanded `value` to `out`.
inline void expand_value(const Environment& environment, std::string_view value,
                         Expanded& out) noexcept {
  std::string_view separator;  // before all but the first item
  for (bool more = true; more;) {
    const std::size_t colon = value.find(':');
    const std::size_t before = out.size;
    const bool replaced = expand_item(environment, head(value, colon), separator, out);
    const bool vanishes = out.size == before;
    if (vanishes && !replaced) out(separator);
    if (!vanishes || !replaced) separator = ":";
    more = colon != std::string_view::npos;
    if (more) value.remove_prefix(colon + 1);
  }
}

inline constexpr const char* too_long =
    "can't set variable: longer than the 32 pages that execve takes";

/// Sets `name` to the expanded `value`. Returns an error message, or "".
[[nodiscard]] inline const char* set_expanded(Environment& environment, std::string_view name,
                                              std::string_view value) noexcept {
  Expanded measured;
  expand_value(environment, value, measured);
  const std::size_t size = name.size() + 2 + measured.size;
  // Checked before expansion: a few lines that refer to one another can exhaust any memory.
  if (size > kernel::max_argument_size) return too_long;
  char* const text = static_cast<char*>(environment.arena().allocate(size, 1));
  if (text != nullptr) {
    Expanded made{text};
    made(name);
    made("=");
    expand_value(environment, value, made);
    *made.end = '\0';
  }
  environment.adopt(name, text);
  return "";
}

[[nodiscard]] inline const char* assign(Environment& environment, std::string_view assignment,
                                        Expansion expansion) noexcept {
  if (assignment.find('\0') != std::string_view::npos) return "can't parse variable: NUL byte";
  const std::size_t delimiter = assignment.find('=');
  if (delimiter == std::string_view::npos) return "can't parse variable: no delimiter";
  if (delimiter == 0) return "can't parse variable: empty name";
  const std::string_view name = head(assignment, delimiter);
  const std::string_view value = unquoted(tail(assignment, delimiter + 1));
  const char* problem = "";
  if (expansion == Expansion::on)
    problem = set_expanded(environment, name, value);
  else if (assignment.size() >= kernel::max_argument_size)
    problem = too_long;
  else
    environment.set(name, value);
  return environment.full() ? "can't set variable: no memory left" : problem;
}

[[nodiscard]] inline EditProblem assign_each(Environment& environment, const EnvironmentEdit& edit,
                                             char end) noexcept {
  std::string_view rest = edit.text;
  for (std::size_t line = 1; !rest.empty(); ++line) {
    const std::string_view assignment = head(rest, rest.find(end));
    rest = tail(rest, assignment.size() + 1);
    if (assignment.empty()) continue;
    const EditProblem problem{assign(environment, assignment, edit.expansion), assignment,
                              edit.file, line};
    if (!problem.ok()) return problem;
  }
  return {};
}

[[nodiscard]] inline EditProblem unset_matching(Environment& environment,
                                                std::string_view glob) noexcept {
  if (glob.empty()) return {"can't unset variables: the pattern is empty"};
  bool undecided = false;
  environment.unset_if([&](std::string_view name) noexcept {
    if (undecided) return false;
    const GlobResult answer = match_glob(glob, name);
    undecided = answer == GlobResult::undecided;
    return answer == GlobResult::matches;
  });
  if (undecided) return {"can't unset variables: the pattern takes too long to compare", glob};
  return {};
}

}  // namespace detail

/// Makes one edit. After a problem in a file, the lines before it have taken effect.
///
/// Assignments split at the first '='. The name is not empty, and may hold anything else.
/// One pair of single quotes around the value is removed. Empty lines and records are skipped, and
/// there are no comments: '#', '"', backslashes, blanks and CR are plain characters.
///
/// Expansion looks at the items of a value, between colons. `$NAME` and `${NAME}` become
/// what the variable is now; NAME is the longest that [A-Za-z_][A-Za-z0-9_]* allows. What
/// they become is not looked at again, and quotes don't stop it. An item that had a reference and
/// expands to nothing is removed together with one colon, so that no unset variable puts the
/// working directory into a PATH: of `x:$U:` stays `x:`, of `:$U` nothing. An item `$ANYTHING`,
/// where a variable with just that odd name is set, is its value. Any other '$' is plain. A
/// backslash protects nothing: `\$HOME` is a backslash and the home directory. For a literal
/// `$HOME` use Expansion::off.
///
/// Differences from Charliecloud 0.38, which reads only items that are `$NAME` as a whole:
///   - `$HOME/x`, `a$B`, `${B}`, `a${B}c` expand. There, an item that starts with '$'
///     vanishes unless a variable has all the rest as its name; others stay as they are.
///   - `$1`, `$5.00`, `$$`, `${}` stay as they are. There, they vanish.
///   - `'A=b'`, an argument that is quoted as a whole, sets A. There, it sets `'A`.
///   - A NUL inside of a line is a problem. There, it cuts the line.
///   - `$A=b` is the value of A, and "=b". There, getenv finds "A=b=c", set to "c".
///   - Inherited entries without '=' are variables with a name and no value: globs
///     unset them. There, they are a fatal error.
///
/// Problems: no delimiter, empty name, NUL byte, empty glob, a glob that is too costly to
/// compare with one of the names (see match_glob; the names before it have been unset), a variable
/// longer than execve accepts, and no memory left, after which `environment.envp()` is null. New
/// texts come from the environment's arena and are never freed. A glob takes time linear in the
/// number of variables.
[[nodiscard]] inline EditProblem apply(Environment& environment,
                                       const EnvironmentEdit& edit) noexcept {
  switch (edit.kind) {
    case EditKind::set_assignment: {
      const std::string_view assignment = detail::unquoted(edit.text);
      const EditProblem problem{detail::assign(environment, assignment, edit.expansion), edit.text};
      return problem.ok() ? EditProblem{} : problem;
    }
    case EditKind::set_lines:
      return detail::assign_each(environment, edit, '\n');
    case EditKind::set_records:
      return detail::assign_each(environment, edit, '\0');
    case EditKind::unset_glob:
      return detail::unset_matching(environment, edit.text);
  }
  return {};
}

}  // namespace ch
