// SPDX-License-Identifier: Apache-2.0
//
// The manual page: groff has nothing to say against it, it knows every option, and its
// examples do what it says they do.

#include "apps/ch-run/option_table.hpp"
#include "ch/version.hpp"
#include "tests/support/manual_page.hpp"

#ifndef CHARLIE_CH_RUN
#define CHARLIE_CH_RUN "ch-run"
#endif

namespace {

using test::Example;
using test::examples;
using test::formatted;
using test::plain;
using test::replace_all;
using test::run;

/// The page lies where it would be installed, beside the built ch-run.
std::string page_path() {
  return test::fs::path(CHARLIE_CH_RUN).parent_path().parent_path() / "share/man/man1/ch-run.1";
}

}  // namespace

TEST_CASE("the manual page is formatted without a warning", "[tool]") {
  REQUIRE(test::fs::exists(page_path()));
  SKIP_UNLESS(run({"man", "--version"}).status == 0, "man-db is not installed");
  const auto page = formatted(page_path());
  CHECK(page.status == 0);
  CHECK(page.err.empty());
  for (const char* section :
       {"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "MOUNTS", "ENVIRONMENT RULES",
        "IMAGE METADATA", "CONFIGURATION", "DEVICES", "NAMESPACES", "EXIT STATUS", "ENVIRONMENT", "FILES",
        "EXAMPLES", "DIFFERENCES FROM CHARLIECLOUD", "SEE ALSO"})
    CHECK(page.out.find("\n" + std::string(section) + "\n") != std::string::npos);
  CHECK(page.out.find(std::string("version ") + ch::version) != std::string::npos);
  std::istringstream lines(page.out);
  for (std::string line; std::getline(lines, line);) CHECK(line.size() <= 80);
  // The same page is that of ch-checkns, and both are found by apropos.
  const auto names = run({"lexgrog", page_path()});
  CHECK(names.out.find("\"ch-run - run a command in an unprivileged container\"") !=
        std::string::npos);
  CHECK(names.out.find("\"ch-checkns - ") != std::string::npos);
}

TEST_CASE("the manual page documents every option", "[tool]") {
  const std::string page = plain(test::read_file(page_path()));
  CHECK(page.find("@") == page.find("@(a|b)"));  // no mark is left over
  for (const auto& option : ch_run::table) {
    INFO(option.name << " " << option.letter);
    if (option.name[0] != '\0')
      CHECK(page.find(std::string("\\fB--") + option.name + "\\fR") != std::string::npos);
    if (option.letter != '\0')
      CHECK(page.find(std::string("\\fB-") + option.letter + "\\fR") != std::string::npos);
    CHECK(page.find(plain(replace_all(option.help, "\\", "\\e"))) != std::string::npos);
  }
}

TEST_CASE("the examples of the manual page do what it says", "[tool]") {
  const test::TempDir dir;
  const std::string data = dir / "data";
  const std::string scratch = dir / "scratch";
  for (const char* d : {"data/in", "scratch", "home", "bin"}) test::fs::create_directories(dir / d);
  test::make_image(data + "/hello");
  for (const char* applet : {"chown", "hostname"})
    if (!test::fs::exists(data + "/hello/bin/" + applet))
      test::fs::create_symlink("busybox", data + "/hello/bin/" + applet);
  test::write_file(data + "/in/names", "Grace\nAda\n");
  test::fs::create_symlink(test::fs::absolute(test::tool("CH_RUN", CHARLIE_CH_RUN)),
                           dir / "bin/ch-run");

  test::RunOptions options;
  options.directory = scratch;
  options.environment = {"PATH=" + (dir / "bin").string() + ":/usr/bin:/bin:/usr/sbin:/sbin",
                         "HOME=" + (dir / "home").string(), "SLURM_JOB_ID=1"};
  const auto here = [&](const std::string& text) {
    return replace_all(replace_all(text, "/data/", data + "/"), "/scratch", scratch);
  };
  const auto all = examples(test::read_file(page_path()));
  CHECK(all.size() > 15);
  for (const Example& example : all) {
    INFO(example.command);
    const auto ran = run({"sh", "-c", here(example.command)}, options);
    INFO(ran.err);
    CHECK(ran.status == 0);
    if (!example.output.empty()) CHECK(ran.out == here(example.output));
  }
}
