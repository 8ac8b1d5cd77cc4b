// SPDX-License-Identifier: Apache-2.0
//
// Globs: a table of what people write, glibc's fnmatch as an oracle on random patterns,
// and the end of what a hostile pattern may cost.

#include "ch/types/glob.hpp"

#include <fnmatch.h>

#include <catch2/catch.hpp>
#include <random>
#include <string>

using namespace ch;

namespace {

static_assert(glob_matches("SLURM_*", "SLURM_JOB_ID"));
static_assert(!glob_matches("!(PATH|HOME)", "HOME"));

bool fnmatch_matches(const std::string& pattern, const std::string& text) {
  return fnmatch(pattern.c_str(), text.c_str(), FNM_EXTMATCH) == 0;
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  while (times-- > 0) all += text;
  return all;
}

struct Row {
  const char* pattern;
  const char* text;
  bool matches;
};

/// Random patterns. They never hold what glibc and we read differently on purpose (see
/// match_glob): in groups neither backslashes nor groups that may be empty.
class Patterns {
 public:
  explicit Patterns(std::uint32_t seed) : random_(seed) {}

  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  std::string text(const std::string& alphabet, std::uint32_t longest) {
    std::string out;
    for (auto n = below(longest + 1); n > 0; --n)
      out += alphabet[below(static_cast<std::uint32_t>(alphabet.size()))];
    return out;
  }
  std::string pattern(int depth) {
    std::string out;
    for (auto n = below(4); n > 0; --n) out += element(depth);
    return out;
  }

 private:
  std::string element(int depth) {
    static const char* const simple[] = {
        "a",    "b", "ab", "?",     "[ab]", "[!a]",         "[^b-z]", "[[:alpha:]]",
        "[]-]", "[", "-",  "[!]a]", "[a-]", "[[:digit:]b]", "!a"};
    const auto which = below(depth > 0 ? 22 : 17);
    if (which < 15) return depth < 2 && simple[which] == std::string("[") ? "]" : simple[which];
    if (which < 17) return "*";
    // A literal first: glibc forgets that a `*` before a group may leave it nothing.
    std::string out = std::string("a") + "?*+@!"[below(5)] + "(";
    for (auto n = below(3); n > 0; --n) out += pattern(depth - 1) + "|";
    return out + pattern(depth - 1) + ")";
  }

  std::mt19937 random_;
};

}  // namespace

TEST_CASE("a pattern matches the whole text and nothing else", "[pure]") {
  const Row rows[] = {
      {"", "", true},
      {"", "a", false},
      {"a", "a", true},
      {"a", "ab", false},
      {"a", "", false},
      {"*", "", true},
      {"*", "a/b.c", true},
      {"**", "ab", true},
      {"?", "", false},
      {"?", "/", true},
      {"?", ".", true},
      {"??", "a", false},
      {"A", "a", false},
      {"SLURM_*", "SLURM_JOB_ID", true},
      {"SLURM_*", "SLURM_", true},
      {"SLURM_*", "SLURM", false},
      {"*_ID", "SLURM_JOB_ID", true},
      {"*a*b*", "xaxbx", true},
      {"*a*b*", "xbxax", false},
      {"*ab", "aab", true},
      {"*aab*", "aaab", true},
      {"a*?b", "ab", false},
      // brackets
      {"[abc]", "b", true},
      {"[abc]", "d", false},
      {"[!abc]", "d", true},
      {"[^abc]", "a", false},
      {"[a-c]", "b", true},
      {"[c-a]", "b", false},
      {"[]a]", "]", true},
      {"[!]a]", "]", false},
      {"[a-]", "-", true},
      {"[-a]", "-", true},
      {"[a-c-e]", "-", true},
      {"[a-c-e]", "d", false},
      {"[a-ce-g]", "f", true},
      {"[\\]]", "]", true},
      {"[a\\-c]", "b", false},
      {"[[]", "[", true},
      {"[+--]", ",", true},
      {"[!a]", "", false},
      {"[*?]", "*", true},
      {"[*?]", "a", false},
      {"[[:alpha:]_]*", "_x", true},
      {"[[:alpha:]]", "1", false},
      {"[![:digit:]]", "1", false},
      {"[[:upper:][:digit:]]", "7", true},
      {"[[:xdigit:]]", "g", false},
      {"[[:space:]]", "\t", true},
      {"[[:blank:]]", "\n", false},
      {"[[:cntrl:]]", "\x7f", true},
      {"[[:punct:]]", "_", true},
      {"[[:print:]]", " ", true},
      {"[[:graph:]]", " ", false},
      {"[[:lower:]]", "\xe4", false},
      {"[[:alnum:]]", "Z", true},
      {"[[:nosuch:]]", "n", false},
      {"[!a]", "\xff", true},
      {"[\x80-\xff]", "\xe4", true},
      {"?", "\xc3\xa4", false},
      // without an end
      {"[", "[", true},
      {"[a", "[a", true},
      {"a[b", "a[b", true},
      {"[]", "[]", true},
      {"[!", "[!", true},
      {"*[", "ab[", true},
      {"[[:alpha:]", "a", false},
      {"[?", "[x", true},
      {"a\\", "a", false},
      {"a\\", "a\\", false},
      // escapes
      {"\\*", "*", true},
      {"\\*", "a", false},
      {"\\a", "a", true},
      {"\\\\", "\\", true},
      {"\\[a]", "[a]", true},
      {"\\@(a)", "@(a)", true},
      // groups
      {"@(a|b)", "a", true},
      {"@(a|b)", "b", true},
      {"@(a|b)", "", false},
      {"@(a|b)", "ab", false},
      {"?(a|b)c", "c", true},
      {"?(a|b)c", "ac", true},
      {"?(a|b)c", "abc", false},
      {"*(a|b)", "", true},
      {"*(a|b)", "abba", true},
      {"*(a|b)", "abc", false},
      {"+(a|b)", "", false},
      {"+(a|b)", "baab", true},
      {"+(ab|c)d", "abcabd", true},
      {"!(a|b)", "", true},
      {"!(a|b)", "a", false},
      {"!(a|b)", "ab", true},
      {"!(a|b)c", "ac", false},
      {"!(*_ID|PATH)", "PATH", false},
      {"!(*_ID|PATH)", "JOB_ID", false},
      {"!(*_ID|PATH)", "P", true},
      {"!()", "", false},
      {"!()", "a", true},
      {"@()", "", true},
      {"@(|a)b", "b", true},
      {"!(*)", "a", false},
      {"!(!(a))", "a", true},
      {"!(!(a))", "b", false},
      {"@(a@(b|c)d|e)", "acd", true},
      {"@(a@(b|c)d|e)", "ad", false},
      {"*(a?(b))c", "abaac", true},
      {"+(?(a))", "", true},
      {"*(*(a)|b)", "aabaa", true},
      {"@(a*|*b)c", "xbc", true},
      {"CUDA_@(HOME|PATH)*", "CUDA_PATH_V12", true},
      {"@([|])", "|", true},
      {"@([)])", ")", true},
      {"+([0-9])", "1234", true},
      {"+([0-9])", "12x4", false},
      {"*[a]@(b)", "xab", true},
      {"@(a|!(b))c", "bc", false},
      {"@(a|!(b))c", "xc", true},
      // no groups after all
      {"(a)", "(a)", true},
      {"a|b", "a|b", true},
      {"@(a", "@(a", true},
      {"*(a", "xx(a", true},
      {"?(a", "x(a", true},
      {"!(a", "b", false},
      {"@(a@(b)", "@(ab", true},
      {"@([a)", "@([a)", true},
      {"@", "@", true},
      {"!a", "!a", true},
      {"a)", "a)", true},
  };
  for (const Row& row : rows) {
    INFO(row.pattern << " against " << row.text);
    CHECK(glob_matches(row.pattern, row.text) == row.matches);
    CHECK((match_glob(row.pattern, row.text) == GlobResult::matches) == row.matches);
    CHECK(fnmatch_matches(row.pattern, row.text) == row.matches);
  }
}

TEST_CASE("where glibc differs on a pattern, ours does what its comment says", "[pure]") {
  const Row rows[] = {
      {"@(a\\)b)", "a)b", true},  // a backslash protects in groups
      {"@(a\\|b)", "a|b", true},    {"@(a\\|b)", "b", false},
      {"*@()", "a", true},  // nothing left for the group is enough where nothing will do
      {"a*!(b)", "ab", true},       {"a*@(b|)", "ac", true},
      {"[a-", "[a-", true},          // no `]`, so no bracket expression
      {"[[:nosuch:]a]", "a", true},  // other members of the brackets remain
      {"[[.a.]]", "a]", true},       // not known: a set of '[', '.' and 'a', then ']'
  };
  for (const Row& row : rows) {
    INFO(row.pattern << " against " << row.text);
    CHECK(glob_matches(row.pattern, row.text) == row.matches);
    CHECK(fnmatch_matches(row.pattern, row.text) != row.matches);
  }
}

TEST_CASE("random patterns of well-formed elements match what glibc says", "[pure]") {
  Patterns patterns(20220912);
  int matched = 0;
  for (int i = 0; i < 60000; ++i) {
    const std::string pattern = patterns.pattern(2);
    const std::string text = patterns.text("aaabbc-]1!", 6);
    const bool ours = glob_matches(pattern, text);
    matched += ours ? 1 : 0;
    if (ours == fnmatch_matches(pattern, text)) continue;
    INFO(pattern << " against " << text);
    CHECK(ours == fnmatch_matches(pattern, text));
  }
  CHECK(matched > 2000);  // or the comparison says little
}

TEST_CASE("random characters match what glibc says", "[pure]") {
  Patterns patterns(3);
  int matched = 0;
  for (int i = 0; i < 200000; ++i) {
    const std::string pattern = patterns.text("aabb[]!^-*?\\()|@", 8);
    const std::string text = patterns.text("ab[]-!(|", 4);
    const bool group = pattern.find('(') != std::string::npos;
    if (group &&
        (pattern.find('\\') != std::string::npos || pattern.find('*') != std::string::npos))
      continue;  // the two differences in groups
    if (!pattern.empty() && pattern.back() == '-' && pattern.find('[') != std::string::npos)
      continue;  // a range that is cut off
    const bool ours = glob_matches(pattern, text);
    matched += ours ? 1 : 0;
    if (ours == fnmatch_matches(pattern, text)) continue;
    INFO(pattern << " against " << text);
    CHECK(ours == fnmatch_matches(pattern, text));
  }
  CHECK(matched > 2000);
}

TEST_CASE("patterns on which others hang are decided", "[pure]") {
  CHECK(match_glob("*(*(a))b", repeated("a", 60)) == GlobResult::differs);
  CHECK(match_glob("+(+(a)|+(aa))b", repeated("a", 60)) == GlobResult::differs);
  CHECK(match_glob("*(*(*(a|aa)))", repeated("a", 500)) == GlobResult::matches);
  CHECK(match_glob("!(*(*(a))b)", repeated("a", 60)) == GlobResult::matches);
  CHECK(match_glob(repeated("*a", 20) + "b", repeated("a", 5000)) == GlobResult::differs);
}

TEST_CASE("a match that costs too much is given up, and reported", "[pure]") {
  const struct {
    std::string pattern;
    std::string text;
  } hostile[] = {
      {repeated("@(", 40000), "a"},
      {repeated("[", 100000), repeated("[", 100)},
      {repeated("@([", 40000), "a"},
      {repeated("!(*a", 14) + repeated(")", 14), repeated("a", 500) + "b"},
      {"*(" + repeated("a|", 60000) + "a)", repeated("a", 2000)},
      {"*" + repeated("a", 60000) + "b", repeated("a", 130000)},
      {repeated("[[:alpha:]", 12000) + "]", "a"},
  };
  for (const auto& row : hostile) {
    INFO(row.pattern.substr(0, 20));
    CHECK(match_glob(row.pattern, row.text) == GlobResult::undecided);
    CHECK_FALSE(glob_matches(row.pattern, row.text));
  }
}

TEST_CASE("the limits for patterns with groups are as documented", "[pure]") {
  CHECK(match_glob("@(*)", std::string(2047, 'a')) == GlobResult::matches);
  CHECK(match_glob("@(*)", std::string(2048, 'a')) == GlobResult::undecided);
  CHECK(match_glob(repeated("@(", 16) + "a" + repeated(")", 16), "a") == GlobResult::matches);
  CHECK(match_glob(repeated("@(", 17) + "a" + repeated(")", 17), "a") == GlobResult::undecided);
  // Without groups the longest text that a kernel passes is no matter.
  CHECK(match_glob("*_x*", std::string(131071, 'a')) == GlobResult::differs);
  CHECK(match_glob("a*a", std::string(131071, 'a')) == GlobResult::matches);
}

TEST_CASE("a text is compared to its end, NUL bytes and all", "[pure]") {
  const std::string_view text("a\0b", 3);
  CHECK(glob_matches("a?b", text));
  CHECK_FALSE(glob_matches("a", text));
}
