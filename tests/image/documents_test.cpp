// SPDX-License-Identifier: Apache-2.0
//
// The manual page and the completions of ch-tar2dir: what they say is so.

#include "apps/ch-tar2dir/documented.hpp"
#include "ch/image/report_json.hpp"
#include "ch/version.hpp"
#include "tests/image/image_archives.hpp"
#include "tests/support/completion.hpp"
#include "tests/support/manual_page.hpp"

namespace {

using test::Tar;
namespace fs = std::filesystem;

fs::path share() { return test::share_beside(CHARLIE_CH_TAR2DIR); }
std::string page_path() { return share() / "man/man1/ch-tar2dir.1"; }

/// In a directory with a file "app.tar" and a directory "my dir".
const test::CompletionCase cases[] = {
    {"ch-tar2dir --pla", {"--platform"}},
    {"ch-tar2dir --max", {"--max-files", "--max-size"}},
    {"ch-tar2dir --contain=", {"always", "auto", "never"}},
    {"ch-tar2dir --contain al", {"always"}},
    {"ch-tar2dir ap", {"app.tar"}},
    {"ch-tar2dir my", {"my dir"}},  // an OCI layout
    {"ch-tar2dir -q --image x ap", {"app.tar"}},
    {"ch-tar2dir app.tar my", {"my dir"}},
    {"ch-tar2dir app.tar ap", {}},
    {"ch-tar2dir app.tar my --subi", {"--subids"}},
};

struct Fixture : test::CompletionPlace {
  Fixture() { test::write_file(dir / "app.tar", ""); }
};

}  // namespace

TEST_CASE("every test that docs/unpack.md names is there, and every hostile case is in it",
          "[image][pure]") {
  const fs::path source(CHARLIE_SOURCE_DIR);
  const std::string page = test::read_file(source / "docs/unpack.md");
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(source / "tests/image"))
    files[entry.path().filename()] = test::read_file(entry.path());
  std::istringstream lines(page);
  int titles = 0;
  for (std::string line; std::getline(lines, line);) {
    // "... | [damage](../tests/image/damage_test.cpp) *a title*, *another* [layers](...) ... |"
    const std::string link = "](../tests/image/";
    for (std::size_t at = line.find(link); at != std::string::npos; at = line.find(link, at)) {
      at += link.size();
      const std::string file = line.substr(at, line.find(')', at) - at);
      const std::string cell = line.substr(at, line.find(link, at) - at);
      CAPTURE(file, cell);
      REQUIRE(files.contains(file));
      for (std::size_t star = cell.find('*'); star != std::string::npos;) {
        const std::size_t end = cell.find('*', star + 1);
        REQUIRE(end != std::string::npos);
        CHECK(files[file].find('"' + cell.substr(star + 1, end - star - 1) + '"') !=
              std::string::npos);
        ++titles;
        star = cell.find('*', end + 1);
      }
    }
  }
  CHECK(titles > 80);
  const std::string& hostile = files["hostile_test.cpp"];
  const std::string mark = ", Expect::";
  for (std::size_t at = hostile.find("{\""); at != std::string::npos;
       at = hostile.find("{\"", at)) {
    at += 2;
    const std::size_t end = hostile.find('"', at);
    if (hostile.compare(end + 1, mark.size(), mark) != 0) continue;
    INFO(hostile.substr(at, end - at));
    CHECK(page.find('*' + hostile.substr(at, end - at) + '*') != std::string::npos);
  }
}

TEST_CASE("the manual page of ch-tar2dir is formatted without a warning", "[image][tool]") {
  REQUIRE(fs::exists(page_path()));
  SKIP_UNLESS(test::run({"man", "--version"}).status == 0, "man-db is not installed");
  const auto page = test::formatted(page_path());
  CHECK(page.status == 0);
  CHECK(page.err.empty());
  for (const char* section : {"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "OWNERS", "OUTPUT",
                              "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO"})
    CHECK(page.out.find("\n" + std::string(section) + "\n") != std::string::npos);
  CHECK(page.out.find(std::string("version ") + ch::version) != std::string::npos);
  std::istringstream lines(page.out);
  for (std::string line; std::getline(lines, line);) CHECK(line.size() <= 80);
  CHECK(test::run({"lexgrog", page_path()}).out.find("ch-tar2dir - unpack an image archive") !=
        std::string::npos);
}

TEST_CASE("the manual page of ch-tar2dir documents every option, and every key of --json",
          "[image][tool]") {
  const std::string page = test::plain(test::read_file(page_path()));
  CHECK(page.find('@') == std::string::npos);  // no mark is left over
  for (const auto& option : ch_tar2dir::table) {
    INFO(option.name << " " << option.letter);
    if (option.name[0] != '\0')
      CHECK(page.find(std::string("\\fB--") + option.name + "\\fR") != std::string::npos);
    if (option.letter != '\0')
      CHECK(page.find(std::string("\\fB-") + option.letter + "\\fR") != std::string::npos);
    CHECK(page.find(test::plain(test::replace_all(option.help, "\\", "\\e"))) != std::string::npos);
  }
  const nlohmann::json report = ch::images::to_json(ch::images::UnpackReport());
  for (const auto& [key, value] : report.items()) {
    INFO(key);
    const bool alone = page.find("\n.I " + key + "\n") != std::string::npos;
    const bool in_a_row = page.find("\n.IR " + key + " ,\n") != std::string::npos;
    CHECK((alone || in_a_row));
  }
}

TEST_CASE("the examples of the manual page of ch-tar2dir do what it says", "[image][tool]") {
  const test::TempDir dir;
  for (const char* d : {"scratch", "bin", "at"}) fs::create_directories(dir / d);
  const auto archive = [&](const char* name, const std::string& bytes) {
    test::write_file(dir / "scratch" / name, bytes);
  };
  test::make_image(dir / "hello");
  REQUIRE(test::run({"tar", "-C", (dir / "hello").string(), "-czf",
                     (dir / "scratch/hello.tar.gz").string(), "."})
              .status == 0);
  const auto image = [](const char* name) {
    return test::ImageRecipe{
        {Tar().dir("usr/").file(std::string("usr/") + name, "#!/bin/", 0755).bytes()},
        "gzip",
        {},
        std::string(name) + ":9"};
  };
  archive("solver.tar", test::image_archive(image("solver"), test::Layout::docker_new));
  auto parts = test::image_parts(image("solver"), test::Layout::docker_new);
  auto more = test::image_parts(image("tools"), test::Layout::docker_new);
  test::Json list = test::Json::parse(parts.at("manifest.json"));
  list.push_back(test::Json::parse(more.at("manifest.json"))[0]);
  parts.merge(more);
  parts["manifest.json"] = list.dump();
  archive("all.tar", test::archive_of(parts));
  for (const auto& [name, built] :
       {std::pair("CH_RUN", CHARLIE_CH_RUN), {"CH_TAR2DIR", CHARLIE_CH_TAR2DIR}})
    fs::create_symlink(fs::absolute(test::tool(name, built)),
                       dir / "bin" / fs::path(built).filename());

  test::RunOptions options;
  options.directory = dir / "scratch";
  options.environment = {"PATH=" + (dir / "bin").string() + ":/usr/bin:/bin"};
  const auto here = [&](const std::string& text) {
    return test::replace_all(text, "/tmp/", (dir / "at").string() + "/");
  };
  const auto all = test::examples(test::read_file(page_path()));
  CHECK(all.size() > 7);
  for (const test::Example& example : all) {
    INFO(example.command);
    const auto ran = test::run({"sh", "-c", here(example.command)}, options);
    INFO(ran.err);
    CHECK(ran.status == 0);
    CHECK(ran.out == here(example.output));
  }
}

TEST_CASE("bash completes ch-tar2dir", "[image][tool]") {
  SKIP_UNLESS(test::have_shell("bash"), "bash is not installed");
  test::check_completion("bash", "ch-tar2dir", share(), cases, ch_tar2dir::table, Fixture());
}

TEST_CASE("zsh completes ch-tar2dir", "[image][tool]") {
  SKIP_UNLESS(test::have_shell("zsh"), "zsh is not installed");
  test::check_completion("zsh", "ch-tar2dir", share(), cases, ch_tar2dir::table, Fixture());
}

TEST_CASE("fish completes ch-tar2dir", "[image][tool]") {
  SKIP_UNLESS(test::have_shell("fish"), "fish is not installed");
  test::check_completion("fish", "ch-tar2dir", share(), cases, ch_tar2dir::table, Fixture());
}
