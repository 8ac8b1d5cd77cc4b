// SPDX-License-Identifier: Apache-2.0
//
// The environment and what --set-env, --set-env0 and --unset-env do to it: the grammar,
// row by row, where it is Charliecloud's and where it is ours.

#include <catch2/catch.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ch/environment_edits.hpp"

using namespace ch;

namespace {

/// An environment with its own storage.
class Fixture {
 public:
  explicit Fixture(std::vector<std::string> inherited, std::size_t bytes = std::size_t{1} << 16)
      : texts_(std::move(inherited)), storage_(bytes), arena_(storage_) {
    for (const std::string& text : texts_) pointers_.push_back(text.c_str());
    pointers_.push_back(nullptr);
    environment.emplace(arena_, pointers_.data(), 4);
  }
  Environment& operator*() { return *environment; }
  Environment* operator->() { return &*environment; }

  /// All variables in order, as execve gets them.
  [[nodiscard]] std::vector<std::string> all() {
    std::vector<std::string> out;
    const char* const* envp = environment->envp();
    REQUIRE(envp != nullptr);
    while (*envp != nullptr) out.emplace_back(*envp++);
    return out;
  }
  [[nodiscard]] std::string value(std::string_view name) {
    const char* text = environment->get(name);
    return text == nullptr ? "(unset)" : text;
  }
  [[nodiscard]] std::size_t used() const { return arena_.used(); }

 private:
  std::vector<std::string> texts_;
  std::vector<const char*> pointers_;
  std::vector<std::byte> storage_;
  Arena arena_;
  std::optional<Environment> environment;
};

using Texts = std::vector<std::string>;

EnvironmentEdit assignment(std::string_view text, Expansion expansion = Expansion::on) {
  return {EditKind::set_assignment, text, {}, expansion};
}
EnvironmentEdit lines(std::string_view text) { return {EditKind::set_lines, text, "/f"}; }
EnvironmentEdit records(std::string_view text) { return {EditKind::set_records, text, "/f"}; }
EnvironmentEdit unset(std::string_view glob) { return {EditKind::unset_glob, glob}; }

std::string message(const EditProblem& problem) {
  TextBuffer<256> text;
  text << problem;
  return std::string(text.view());
}

/// Where a value differs from Charliecloud's, what Charliecloud makes of it.
struct ValueRow {
  const char* value;
  const char* becomes;
  const char* theirs;
};
constexpr const char* same = nullptr;

/// Charliecloud's own rule, to check the table's last column by: a value's items between
/// colons, where one that is '$' and a name is the variable, or nothing if that is empty.
std::string charliecloud_expands(Environment& environment, std::string value) {
  std::string out;
  bool first = true;
  for (std::size_t colon = 0; colon != std::string::npos;) {
    colon = value.find(':');
    std::string item = value.substr(0, colon);
    if (colon != std::string::npos) value.erase(0, colon + 1);
    if (item.size() > 1 && item[0] == '$') {
      const std::string start = item.substr(1) + "=";  // which may hold another '='
      const char* variable = nullptr;
      for (const char* const* v = environment.envp(); *v != nullptr && variable == nullptr; ++v)
        if (std::string_view(*v).starts_with(start)) variable = *v + start.size();
      if (variable == nullptr || *variable == '\0') continue;
      item = variable;
    }
    out += first ? item : ":" + item;
    first = false;
  }
  return out;
}

}  // namespace

TEST_CASE("an assignment splits at the first equals sign", "[pure]") {
  const struct {
    const char* assignment;
    const char* name;
    const char* value;
  } rows[] = {
      {"A=b", "A", "b"},
      {"A=", "A", ""},
      {"A=b=c", "A", "b=c"},
      {"A==", "A", "="},
      {"a b=c d ", "a b", "c d "},
      {" A=b", " A", "b"},
      {"A =b", "A ", "b"},
      {"export A=b", "export A", "b"},
      {"#A=b", "#A", "b"},
      {"A=b#c", "A", "b#c"},
      {"A=b\r", "A", "b\r"},
      {"A=\\n\\\\", "A", "\\n\\\\"},
      {"A=b\nc", "A", "b\nc"},
      {"\xff\xfe=\xe4", "\xff\xfe", "\xe4"},
      {"A.b-c/d=e", "A.b-c/d", "e"},
      // quotes
      {"A=\"b\"", "A", "\"b\""},
      {"A='b'", "A", "b"},
      {"A=''", "A", ""},
      {"A='", "A", "'"},
      {"A='b", "A", "'b"},
      {"A=b'", "A", "b'"},
      {"A=''b''", "A", "'b'"},
      {"A=' b '", "A", " b "},
      {"A='it's'", "A", "it's"},
      {"A=x'b'", "A", "x'b'"},
      {"A='b'\r", "A", "'b'\r"},
      {"A='b' ", "A", "'b' "},
      {"'A=b", "'A", "b"},
      // quoted as a whole: not so with Charliecloud
      {"'A=b'", "A", "b"},
      {"'A=b c'", "A", "b c"},
      {"'A='b''", "A", "b"},
      {"'A='", "A", ""},
  };
  for (const auto& row : rows) {
    INFO(row.assignment);
    Fixture f({});
    CHECK(message(apply(*f, assignment(row.assignment))).empty());
    CHECK(f.all() == Texts{std::string(row.name) + "=" + row.value});
    CHECK(f.value(row.name) == row.value);
  }
}

TEST_CASE("a text that is not an assignment is a problem that names it", "[pure]") {
  const struct {
    EnvironmentEdit edit;
    const char* message;
  } rows[] = {
      {assignment("A"), "can't parse variable: no delimiter: A"},
      {assignment(""), "can't parse variable: no delimiter"},
      {assignment("''"), "can't parse variable: no delimiter: ''"},
      {assignment("=b"), "can't parse variable: empty name: =b"},
      {assignment("="), "can't parse variable: empty name: ="},
      {assignment("'=b'"), "can't parse variable: empty name: '=b'"},
      {lines("A=1\n\nB\nC=2\n"), "can't parse variable: no delimiter: /f:3"},
      {lines("=1"), "can't parse variable: empty name: /f:1"},
      {lines("A=1\n \n"), "can't parse variable: no delimiter: /f:2"},
      {lines("# a comment\n"), "can't parse variable: no delimiter: /f:1"},
      {lines("A=1\n\r\n"), "can't parse variable: no delimiter: /f:2"},
      {lines({"A=1\0B=2\0", 8}), "can't parse variable: NUL byte: /f:1"},
      {records({"A=1\0B\n", 6}), "can't parse variable: no delimiter: /f:2"},
      {records({"A=1\0\0\0=\0", 8}), "can't parse variable: empty name: /f:4"},
      {unset(""), "can't unset variables: the pattern is empty"},
  };
  for (const auto& row : rows) {
    INFO(row.message);
    Fixture f({"X=1"});
    const EditProblem problem = apply(*f, row.edit);
    CHECK_FALSE(problem.ok());
    CHECK(message(problem) == row.message);
    CHECK(f.value("X") == "1");
  }
  Fixture f({});
  const EditProblem problem = apply(*f, lines("A=1\nnonsense\nC=2\n"));
  CHECK(problem.subject == "nonsense");
  CHECK(problem.file == "/f");
  CHECK(problem.line == 2);
  CHECK(f.all() == Texts{"A=1"});
}

TEST_CASE("lines that refer to each other stop at execve's limit for a variable", "[pure]") {
  std::string doubling = "A=x\n";
  for (int i = 0; i < 64; ++i) doubling += "A=$A$A\n";
  const auto arena = std::make_unique<ArenaOf<std::size_t{1} << 20>>();
  const char* const nothing = nullptr;
  Environment environment(*arena, &nothing);
  const EditProblem problem = apply(environment, lines(doubling));
  CHECK(message(problem) ==
        "can't set variable: longer than the 32 pages that execve takes: /f:18");
  CHECK(std::string_view(environment.get("A")).size() == std::size_t{1} << 16);
  const std::string text = "A=" + std::string(kernel::max_argument_size, 'x');
  CHECK_FALSE(apply(environment, assignment(text)).ok());
  CHECK_FALSE(apply(environment, assignment(text, Expansion::off)).ok());
}

TEST_CASE("every variable of many is found, whatever was set and unset between", "[pure]") {
  // Names whose first letters agree, more than any array had room for to begin with.
  constexpr int many = 60000;
  std::vector<std::string> inherited;
  for (int i = 0; i < 300; ++i) inherited.push_back("NAME" + std::to_string(i) + "=inherited");
  inherited.push_back("NAME7=again");
  std::string text;
  for (int i = 100; i < many; ++i)
    text += "NAME" + std::to_string(i) + "=" + std::to_string(i) + "\n";
  std::vector<const char*> pointers;
  for (const auto& variable : inherited) pointers.push_back(variable.c_str());
  pointers.push_back(nullptr);
  const auto arena = std::make_unique<ArenaOf<std::size_t{32} << 20>>();
  Environment environment(*arena, pointers.data());
  REQUIRE(apply(environment, lines(text)).ok());
  CHECK(environment.size() == many + 1);  // one of them twice
  environment.set("NAME7", "once");
  CHECK(environment.size() == many);
  REQUIRE(apply(environment, unset("NAME*5")).ok());
  CHECK(environment.size() == many - many / 10);
  int wrong = 0;
  for (int i = 0; i < many; ++i) {
    const char* value = environment.get("NAME" + std::to_string(i));
    const std::string expected = i == 7 ? "once" : i < 100 ? "inherited" : std::to_string(i);
    if (i % 10 == 5 ? value != nullptr : value == nullptr || value != expected) ++wrong;
  }
  CHECK(wrong == 0);
  CHECK(environment.get("NAME60000") == nullptr);
}

TEST_CASE("files are read line by line or record by record", "[pure]") {
  const struct {
    EnvironmentEdit edit;
    Texts variables;
  } rows[] = {
      {lines(""), {}},
      {lines("\n\n"), {}},
      {lines("A=1"), {"A=1"}},
      {lines("A=1\n\nB=2\n"), {"A=1", "B=2"}},
      {lines("A=1 \n B='x y'\n"), {"A=1 ", " B=x y"}},
      {lines("A=1\r\nB='2'\r\n"), {"A=1\r", "B='2'\r"}},
      {lines("A=1\nA=2\n"), {"A=2"}},
      {lines("A=1\nB=$A:$A\n"), {"A=1", "B=1:1"}},
      {lines("'A=1'\n"), {"'A=1'"}},  // as in a shell, so only in arguments
      {records({"A=1\0B=2\0", 8}), {"A=1", "B=2"}},
      {records({"A=1\0B=2", 7}), {"A=1", "B=2"}},
      {records({"\0\0A=1\n\nB\0", 9}), {"A=1\n\nB"}},
      {records({"A='\n'\0B=$A\0", 11}), {"A=\n", "B=\n"}},
  };
  for (const auto& row : rows) {
    INFO(row.edit.text);
    Fixture f({});
    CHECK(message(apply(*f, row.edit)).empty());
    CHECK(f.all() == row.variables);
  }
}

TEST_CASE("values expand, item by item", "[pure]") {
  const ValueRow rows[] = {
      // Charliecloud's table
      {"$S", "set", same},
      {"$U", "", same},
      {"$E", "", same},
      {"$", "$", same},
      {"", "", same},
      {":", ":", same},
      {"::", "::", same},
      {"x:$S:y", "x:set:y", same},
      {"$S:$S", "set:set", same},
      {"x:$U:", "x:", same},
      {"x:$E:", "x:", same},
      {":$U", "", same},
      {"::$U", ":", same},
      {"$U:", "", same},
      {"$U:x", "x", same},
      {"$U::x", ":x", same},
      {"x:$U", "x", same},
      {"$U:$U", "", same},
      {"x:$U:y", "x:y", same},
      {"x:$U:$E:y", "x:y", same},
      {"/x:$LIST", "/x:/a:/b", same},
      {"'$S'", "set", same},
      {"\"$S\"", "\"set\"", "\"$S\""},
      {"bar$", "bar$", same},
      {"a:$:b", "a:$:b", same},
      {"$REF", "$S", same},
      {"$odd-name", "dash", same},
      {"$HOME/x y", "spaces", same},
      {"${S}", "set", ""},
      // names among other text
      {"$S/x", "set/x", ""},
      {"$S-x", "set-x", ""},
      {"$S.$S", "set.set", ""},
      {"$S$S", "setset", ""},
      {"bar$S", "barset", "bar$S"},
      {"a${S}b", "asetb", "a${S}b"},
      {"${S}x:$S/y", "setx:set/y", ""},
      {"/opt/$S/bin:$LIST", "/opt/set/bin:/a:/b", "/opt/$S/bin:/a:/b"},
      {"$Sx", "", ""},  // the longest name
      {"$S_1", "under", same},
      {"${S}_1", "set_1", ""},
      {"$U/x", "/x", ""},
      {"x$U", "x", "x$U"},
      {"x:${U}:y", "x:y", same},
      {"x:$U$E:y", "x:y", same},
      {"x:$U/:y", "x:/:y", "x:y"},
      {"$LIST/c", "/a:/b/c", ""},
      {"$REF/x", "$S/x", ""},
      {"-L$HOME/lib -L${HOME}/lib64", "-L/home/u/lib -L/home/u/lib64",
       "-L$HOME/lib -L${HOME}/lib64"},
      // no names
      {"$1", "$1", ""},
      {"$5.00", "$5.00", ""},
      {"$$", "$$", ""},
      {"$$S", "$set", ""},
      {"${}", "${}", ""},
      {"${S", "${S", ""},
      {"${S-}", "${S-}", ""},
      {"${S:-x}", "${S:-x}", "-x}"},
      {"${1}", "${1}", ""},
      {"$(S)", "$(S)", ""},
      {"$-", "$-", ""},
      {"a$ b", "a$ b", same},
      {"a$", "a$", same},
      {"\\$S", "\\set", "\\$S"},
      {"$\xc3\xa4", "$\xc3\xa4", ""},
      {"$S\xc3\xa4", "set\xc3\xa4", ""},
      {"$odd-other", "-other", ""},
      {"$S=x", "set=x", "y"},  // to getenv, "S=x=y" is a variable "S=x" too
  };
  for (const ValueRow& row : rows) {
    INFO(row.value);
    Fixture f({"S=set", "E=", "LIST=/a:/b", "REF=$S", "odd-name=dash", "HOME/x y=spaces",
               "HOME=/home/u", "S_1=under", "S=x=y", "odd="});
    const std::string text = std::string("A=") + row.value;
    CHECK(message(apply(*f, assignment(text))).empty());
    CHECK(f.value("A") == row.becomes);

    std::string value = row.value;
    if (value == "'$S'") value = "$S";
    CHECK(charliecloud_expands(*f, value) == (row.theirs == same ? row.becomes : row.theirs));
  }
}

TEST_CASE("nothing expands where expansion is off", "[pure]") {
  for (const char* value : {"$S", "x:$U:", "${S}", "a$S", "$"}) {
    Fixture f({"S=set"});
    const std::string text = std::string("A=") + value;
    CHECK(apply(*f, assignment(text, Expansion::off)).ok());
    CHECK(f.value("A") == value);
  }
  Fixture f({"S=set"});
  CHECK(apply(*f, {EditKind::set_lines, "A='$S'\nS=2", "/f", Expansion::off}).ok());
  CHECK(f.all() == Texts{"S=2", "A=$S"});
}

TEST_CASE("a variable may be built from itself", "[pure]") {
  Fixture f({"PATH=/bin"});
  CHECK(apply(*f, assignment("PATH=/opt/bin:$PATH")).ok());
  CHECK(apply(*f, assignment("PATH=$PATH:$HOME/bin")).ok());
  CHECK(apply(*f, assignment("NEW=/x:$NEW")).ok());
  CHECK(f.all() == Texts{"PATH=/opt/bin:/bin:/bin", "NEW=/x"});
}

TEST_CASE("edits see those before them, in order", "[pure]") {
  Fixture f({"A=1", "B=2", "C=3"});
  for (const auto& edit : {assignment("B=$A"), unset("A"), assignment("C=$A:$B"),
                           lines("A=new\nD=$A"), unset("[BC]"), assignment("E=${B}x$D")})
    CHECK(apply(*f, edit).ok());
  CHECK(f.all() == Texts{"A=new", "D=new", "E=xnew"});
}

TEST_CASE("names are unset by glob", "[pure]") {
  const struct {
    const char* glob;
    Texts left;
  } rows[] = {
      {"*", {}},
      {"A", {"AB=2", "SLURM_A=3", "=x", "none", "SLURM_B=A=4"}},
      {"A=1", {"A=1", "AB=2", "SLURM_A=3", "=x", "none", "SLURM_B=A=4"}},
      {"A*", {"SLURM_A=3", "=x", "none", "SLURM_B=A=4"}},
      {"SLURM_?", {"A=1", "AB=2", "=x", "none"}},
      {"!(SLURM_*)", {"SLURM_A=3", "SLURM_B=A=4"}},
      {"@(A|none)", {"AB=2", "SLURM_A=3", "=x", "SLURM_B=A=4"}},
      {"[!A]*", {"A=1", "AB=2", "=x"}},
      {"?(nosuch)", {"A=1", "AB=2", "SLURM_A=3", "none", "SLURM_B=A=4"}},
      {"nosuch", {"A=1", "AB=2", "SLURM_A=3", "=x", "none", "SLURM_B=A=4"}},
      {"'A'", {"A=1", "AB=2", "SLURM_A=3", "=x", "none", "SLURM_B=A=4"}},
  };
  for (const auto& row : rows) {
    INFO(row.glob);
    Fixture f({"A=1", "AB=2", "SLURM_A=3", "=x", "none", "SLURM_B=A=4"});
    CHECK(apply(*f, unset(row.glob)).ok());
    CHECK(f.all() == row.left);
  }
}

TEST_CASE("a glob whose match can't be decided is a problem, not a guess", "[pure]") {
  Fixture f({"A=1", std::string(3000, 'x') + "=1"});
  CHECK(message(apply(*f, unset("!(PATH)"))) ==
        "can't unset variables: the pattern takes too long to compare: !(PATH)");
  CHECK(apply(*f, unset("*")).ok());  // without groups no name is too long
  CHECK(f.all().empty());
}

TEST_CASE("whatever was inherited is edited and passed on", "[pure]") {
  Fixture f({"A=1", "none", "A=2", "=x", "=", "", "\xff=\xfe", "L=a\nb", "A==", "AA=3"});
  CHECK(f.value("A") == "1");
  CHECK(f->get("none") == nullptr);
  CHECK(f->get(std::string_view("A\0", 2)) == nullptr);
  CHECK(apply(*f, assignment("\xff=$L")).ok());
  CHECK(apply(*f, assignment("A=new")).ok());
  CHECK(apply(*f, assignment("none=some")).ok());
  CHECK(f.all() ==
        Texts{"A=new", "none", "=x", "=", "", "\xff=a\nb", "L=a\nb", "AA=3", "none=some"});
  CHECK(apply(*f, unset("none")).ok());
  CHECK(f.all() == Texts{"A=new", "=x", "=", "", "\xff=a\nb", "L=a\nb", "AA=3"});
}

TEST_CASE("an environment takes more new variables than expected", "[pure]") {
  Fixture f({"A=0"});
  std::string text;
  Texts expected = {"A=0"};
  for (int i = 0; i < 1000; ++i) {
    expected.push_back("V" + std::to_string(i) + "=$");
    text += expected.back() + "\n";
  }
  CHECK(apply(*f, lines(text)).ok());
  CHECK(f.all() == expected);
}

TEST_CASE("a full arena is reported by the edit that filled it, and by later ones", "[pure]") {
  for (const Expansion expansion : {Expansion::on, Expansion::off}) {
    Fixture f({"A=1"}, 128);
    CHECK(apply(*f, assignment("B=2", expansion)).ok());
    const std::string text = "C=" + std::string(200, 'x');
    CHECK(message(apply(*f, {EditKind::set_lines, text, "/f", expansion})) ==
          "can't set variable: no memory left: /f:1");
    CHECK(f->envp() == nullptr);
    CHECK_FALSE(apply(*f, assignment("D=4", expansion)).ok());
  }
  Fixture none({"A=1"}, 8);
  CHECK(message(apply(*none, assignment("B=2"))) == "can't set variable: no memory left: B=2");
}

TEST_CASE("a value that doubles itself stops at the end of the arena", "[pure]") {
  Fixture f({"A=0123456789"}, 4096);
  EditProblem problem;
  int times = 0;
  while (problem.ok() && times < 100) {
    problem = apply(*f, assignment("A=$A$A:$A$A"));
    ++times;
  }
  CHECK(times < 10);
  CHECK(message(problem) == "can't set variable: no memory left: A=$A$A:$A$A");
}

TEST_CASE("every place where the arena can end is met and reported", "[pure]") {
  bool done = false;
  for (std::size_t bytes = 0; bytes < 400 && !done; ++bytes) {
    Fixture f({"A=1", "B=2"}, bytes);
    done = apply(*f, lines("C=$A\nD=${B}x\nE=5\nF=6\nG=7\nA=$A$B\n")).ok();
    CHECK((f->envp() != nullptr) == done);
    if (done) CHECK(f.all().back() == "G=7");
  }
  CHECK_FALSE(done);  // a seventh variable lengthens the array, which takes more
  Fixture enough({"A=1", "B=2"}, 4000);
  CHECK(apply(*enough, lines("C=$A\nD=${B}x\nE=5\nF=6\nG=7\nA=$A$B\n")).ok());
  CHECK(enough.all() == Texts{"A=12", "B=2", "C=1", "D=2x", "E=5", "F=6", "G=7"});
}

TEST_CASE("a hundred thousand variables are edited without delay", "[pure]") {
  Texts many;
  for (int i = 0; i < 100000; ++i) many.push_back("VARIABLE_" + std::to_string(i) + "=value");
  const auto begin = std::chrono::steady_clock::now();
  Fixture f(many, std::size_t{8} << 20);
  for (int i = 0; i < 50; ++i) {
    const std::string name = "VARIABLE_" + std::to_string(i * 1999);
    CHECK(apply(*f, assignment(name + "=$" + name + "/$LAST:${VARIABLE_99999}")).ok());
  }
  CHECK(f.value("VARIABLE_1999") == "value/:value");
  CHECK(f->size() == 100000);
  CHECK(apply(*f, unset("!(*[13579]|VARIABLE_*[02468]?)")).ok());
  CHECK(f->size() > 50000);
  CHECK(apply(*f, unset("*_*")).ok());
  CHECK(f.all().empty());
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  CHECK(took.count() < 20);  // 0.3 s, and a bound for sanitizers on a busy machine
}

TEST_CASE("a null environment is empty", "[pure]") {
  ArenaOf<16384> arena;
  Environment environment(arena, nullptr);
  CHECK(environment.size() == 0);
  CHECK(environment.get("HOME") == nullptr);
  environment.set("A", "b");
  REQUIRE(environment.envp() != nullptr);
  CHECK(std::string(environment.envp()[0]) == "A=b");
  CHECK(environment.envp()[1] == nullptr);
}
