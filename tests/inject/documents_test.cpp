// SPDX-License-Identifier: Apache-2.0
//
// The manual pages and the completions of ch-fromhost and ch-device: what they say is so.

#include <algorithm>

#include "apps/ch-device/documented.hpp"
#include "apps/ch-fromhost/documented.hpp"
#include "ch/version.hpp"
#include "tests/support/ch_run.hpp"
#include "tests/support/completion.hpp"
#include "tests/support/manual_page.hpp"
#include "tests/support/option_table.hpp"

namespace {

using test::Offers;
namespace fs = std::filesystem;

const ch::cli::Tool* const tools[] = {&ch_fromhost::documented, &ch_device::documented};

fs::path share() { return test::share_beside(CHARLIE_CH_DEVICE); }
std::string page_path(const ch::cli::Tool& tool) {
  return share() / "man/man1" / (std::string(tool.name) + ".1");
}

struct Case {
  const char* line;
  Offers offers;
};

/// In a directory with a directory "image", which has bin/, and a file "list.txt".
const Case cases_of_fromhost[] = {
    {"ch-fromhost --cdi-d", {"--cdi-dirs"}},
    {"ch-fromhost --cray-mpi-", {"--cray-mpi-cxi", "--cray-mpi-gni"}},
    {"ch-fromhost --file li", {"list.txt"}},
    {"ch-fromhost --cdi-dirs im", {"image"}},
    {"ch-fromhost --nvidia im", {"image"}},
    {"ch-fromhost --nvidia li", {}},
};
const Case cases_of_device[] = {
    {"ch-device --li", {"--list"}},
    {"ch-device --ld", {"--ld-cache"}},
    {"ch-device --cdi-dirs im", {"image"}},
    {"ch-device --cdi-dirs li", {}},
    {"ch-device --image=im", {"image"}},
    {"ch-device --ld-cache li", {"list.txt"}},
    {"ch-device --list im", {}},
};

struct Fixture {
  test::TempDir dir;
  test::RunOptions options;
  Fixture() {
    fs::create_directories(dir / "image/bin");
    fs::create_directory(dir / "home");
    test::write_file(dir / "list.txt", "");
    options.directory = dir.path();
    options.environment = {"PATH=/usr/bin:/bin", "HOME=" + (dir / "home").string(),
                           "LC_ALL=C.UTF-8", "TERM=dumb"};
  }
};

template <class Complete>
void check_all(const ch::cli::Tool& tool, std::span<const Case> cases, Complete complete) {
  for (const Case& c : cases) {
    INFO(c.line);
    CHECK(complete(c.line) == c.offers);
  }
  const Offers all = complete(std::string(tool.name) + " --");
  for (const auto& option : tool.options) {
    INFO(option.name);
    if (option.help[0] != '\0') CHECK(all.count(std::string("--") + option.name) == 1);
  }
}
template <class Complete>
void check_both(Complete complete) {
  check_all(ch_fromhost::documented, cases_of_fromhost,
            [&](const std::string& line) { return complete("ch-fromhost", line); });
  check_all(ch_device::documented, cases_of_device,
            [&](const std::string& line) { return complete("ch-device", line); });
}

}  // namespace

TEST_CASE("the table of ch-device is sound", "[inject][pure]") {
  test::check_table(ch_device::documented, ch_device::handlers);
}

TEST_CASE("the manual pages of ch-fromhost and ch-device are formatted without a warning",
          "[inject][tool]") {
  SKIP_UNLESS(test::run({"man", "--version"}).status == 0, "man-db is not installed");
  for (const ch::cli::Tool* tool : tools) {
    CAPTURE(tool->name);
    const auto page = test::formatted(page_path(*tool));
    CHECK(page.status == 0);
    CHECK(page.err.empty());
    for (const char* section : {"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS",
                                "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO"})
      CHECK(page.out.find("\n" + std::string(section) + "\n") != std::string::npos);
    CHECK(page.out.find(std::string("version ") + ch::version) != std::string::npos);
    std::istringstream lines(page.out);
    for (std::string line; std::getline(lines, line);) CHECK(line.size() <= 80);
    CHECK(
        test::run({"lexgrog", page_path(*tool)}).out.find("\"" + std::string(tool->name) + " - ") !=
        std::string::npos);
  }
}

TEST_CASE("the manual pages of ch-fromhost and ch-device document every option", "[inject][tool]") {
  for (const ch::cli::Tool* tool : tools) {
    const std::string page = test::plain(test::read_file(page_path(*tool)));
    CHECK(page.find('@') == std::string::npos);  // no mark is left over
    for (const auto& option : tool->options) {
      INFO(tool->name << " " << option.name << " " << option.letter);
      if (option.name[0] != '\0')
        CHECK(page.find(std::string("\\fB--") + option.name + "\\fR") != std::string::npos);
      if (option.letter != '\0')
        CHECK(page.find(std::string("\\fB-") + option.letter + "\\fR") != std::string::npos);
      CHECK(page.find(test::plain(test::replace_all(option.help, "\\", "\\e"))) !=
            std::string::npos);
    }
  }
}

TEST_CASE("the examples of the manual page of ch-device do what it says", "[inject][tool]") {
  const test::TempDir dir;
  for (const char* d : {"data", "tmp", "cdi", "bin"}) fs::create_directories(dir / d);
  test::make_image(dir / "data/hello");
  test::write_file(dir / "cdi/example.json", R"({"cdiVersion": "0.6.0", "kind": "example.com/gpu",
    "devices": [{"name": "0", "containerEdits": {"env": ["EXAMPLE_VISIBLE_DEVICES=0"]}}]})");
  for (const auto& [name, built] :
       {std::pair("CH_RUN", CHARLIE_CH_RUN), {"CH_DEVICE", CHARLIE_CH_DEVICE}})
    fs::create_symlink(fs::absolute(test::tool(name, built)),
                       dir / "bin" / fs::path(built).filename());
  test::RunOptions options;
  options.directory = dir.path();
  options.environment = {"PATH=" + (dir / "bin").string() + ":/usr/bin:/bin",
                         "CH_RUN_CDI_DIRS=" + (dir / "cdi").string()};
  const auto here = [&](std::string text) {
    for (const auto& [page, real] :
         {std::pair("/tmp/", "tmp/"), {"/data/", "data/"}, {"/etc/cdi/", "cdi/"}})
      text = test::replace_all(text, page, (dir / real).string());
    return text;
  };
  const auto all = test::examples(test::read_file(page_path(ch_device::documented)));
  CHECK(all.size() == 4);
  for (const test::Example& example : all) {
    INFO(example.command);
    const auto ran = test::run({"sh", "-c", here(example.command)}, options);
    INFO(ran.err);
    CHECK(ran.status == 0);
    CHECK(ran.out == here(example.output));
  }
}

TEST_CASE("bash completes ch-fromhost and ch-device", "[inject][tool]") {
  const Fixture f;
  SKIP_UNLESS(test::run({"bash", "--version"}).status == 0, "bash is not installed");
  check_both([&](const char* tool, const std::string& line) {
    return test::normal(test::bash_offers(tool, share(), line, f.options));
  });
}

TEST_CASE("zsh completes ch-fromhost and ch-device", "[inject][tool]") {
  const Fixture f;
  SKIP_UNLESS(test::run({"zsh", "--version"}).status == 0, "zsh is not installed");
  std::map<std::string, Offers> offers;
  const auto ask = [&](const char* tool, std::span<const Case> cases) {
    std::vector<std::string> lines = {std::string(tool) + " --"};
    for (const Case& c : cases) lines.emplace_back(c.line);
    offers.merge(test::zsh_offers(tool, share(), lines, f.dir / "home", f.options));
  };
  ask("ch-fromhost", cases_of_fromhost);
  ask("ch-device", cases_of_device);
  check_both([&](const char*, const std::string& line) { return offers.at(line); });
}

TEST_CASE("fish completes ch-fromhost and ch-device", "[inject][tool]") {
  const Fixture f;
  SKIP_UNLESS(test::run({"fish", "--version"}).status == 0, "fish is not installed");
  check_both([&](const char* tool, const std::string& line) {
    return test::fish_offers(tool, share(), line, f.options);
  });
}
