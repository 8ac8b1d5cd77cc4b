// SPDX-License-Identifier: Apache-2.0
//
// ch::inject and ch::take_out, as a program that includes ch/inject.hpp uses them.

#include "ch/inject.hpp"

#include "tests/inject/host_image.hpp"

namespace {

using test::contains;
namespace fs = std::filesystem;

fs::path program() { return test::inject_fixture("bin/charlie_ask"); }
fs::path library() { return test::inject_fixture("lib/libcharlie_answer.so.1.0"); }

}  // namespace

TEST_CASE("one call injects, one lists, one takes out", "[inject][tool]") {
  const test::FromHost f;
  const auto before = test::everything(f.image);
  std::vector<bool> planned;
  ch::InjectOptions options;
  options.on_progress = [&](const ch::InjectReport& report) {
    planned.push_back(report.planned);
    CHECK_FALSE(report.changed);
    CHECK(report.plan.empty() == !report.planned);
    CHECK(test::everything(f.image) == before);
  };
  const auto done = ch::inject(f.image, {program(), library()}, options);
  REQUIRE(done);
  CHECK(done->changed);
  CHECK(done->has_run_ldconfig);
  CHECK(planned == std::vector{false, true});
  CHECK(f.inside({"charlie_ask"}).out == "the answer is 42\n");
  const auto files = ch::injected(f.image);
  REQUIRE(files);
  CHECK(std::count_if(files->begin(), files->end(), [](const ch::InjectedFile& file) {
          return file.source == program().native();
        }) == 1);
  const auto again = ch::inject(f.image, {program(), library()});
  REQUIRE(again);
  CHECK_FALSE(again->changed);
  const auto out = ch::take_out(f.image);
  REQUIRE(out);
  CHECK(out->changed);
  CHECK(test::everything(f.image) == before);
}

TEST_CASE("a plan that is not carried out changes nothing", "[inject][tool]") {
  const test::FromHost f;
  const auto before = test::everything(f.image, true);
  const auto done = ch::inject(f.image, {library()}, {.carry = ch::Carry::nothing});
  REQUIRE(done);
  CHECK_FALSE(done->changed);
  CHECK(done->has_run_ldconfig);
  CHECK_FALSE(done->plan.empty());
  CHECK(test::everything(f.image, true) == before);
}

TEST_CASE("what is known before planning is reported even if planning fails", "[inject][tool]") {
  const test::FromHost f;
  fs::create_directory(f.dir / "cdi");
  test::write_file(f.dir / "cdi/made.json", R"({"cdiVersion": "0.5.0", "kind": "made.com/gpu",
    "devices": [{"name": "0", "containerEdits": {"env": ["MODE=fast"]}}]})");
  std::vector<std::string> warnings;
  ch::InjectOptions options;
  options.device_directories = {(f.dir / "cdi").string()};
  options.on_progress = [&](const ch::InjectReport& report) { warnings = report.warnings; };
  std::string cause = "empty file list";
  std::vector<ch::FileSource> sources = {ch::FileSource::device("")};
  SECTION("for a file that is missing") {
    cause = "/nowhere/file";
    sources.emplace_back("/nowhere/file");
  }
  SECTION("for want of any file") {}
  const auto done = ch::inject(f.image, sources, options);
  REQUIRE_FALSE(done);
  CHECK(contains(done.error().cause, cause));
  REQUIRE(warnings.size() == 1);
  CHECK(contains(warnings[0], "MODE=fast"));
}

TEST_CASE("a failure names the file of the host that it is about", "[inject][tool]") {
  const test::FromHost f;
  const auto told = [&](const ch::FileSource& source) {
    const auto done = ch::inject(f.image, {program(), source});
    REQUIRE_FALSE(done);
    CHECK_FALSE(done.error().remedy.empty());
    return done.error().text();
  };
  CHECK(contains(told("/nowhere/file"),
                 "can't inject /nowhere/file: No such file or directory (ENOENT)\n"
                 "cause: /nowhere/file: cannot inject (No such file or directory)\n"));
  CHECK(
      contains(told("/usr"), "can't inject /usr\ncause: /usr: cannot inject (it is a directory)"));
  CHECK(contains(told(ch::FileSource::list("/nowhere/list")),
                 "can't inject the files that are listed by /nowhere/list: No such file or"));
  CHECK(contains(told(ch::FileSource::command("/nowhere/tool -l")),
                 "can't inject the files that are listed by /nowhere/tool -l\n"));
  test::write_file(f.dir / "list", "/nowhere/listed\n");
  CHECK(contains(told(ch::FileSource::list(f.dir / "list")), "can't inject /nowhere/listed: No"));
  // Of what is in the image, the image is named, and where there is none.
  CHECK(contains(told(ch::FileSource(program()).to("/nowhere")),
                 "can't inject files into the image " + f.image.native()));
  const auto nowhere = ch::inject("/nowhere/image", {program()});
  REQUIRE_FALSE(nowhere);
  CHECK(contains(nowhere.error().text(),
                 "can't inject files into the image /nowhere/image: No such file or directory "));
  CHECK(contains(nowhere.error().cause, "there is nothing at this path"));
}

TEST_CASE("a path that a reader would see truncated is refused", "[inject][tool]") {
  const test::FromHost f;
  const std::string nul("\0x", 2);
  const auto before = test::everything(f.image, true);
  CHECK_FALSE(ch::inject(f.image.native() + nul, {program()}));
  CHECK_FALSE(ch::inject(f.image, {program().native() + nul}));
  CHECK_FALSE(ch::inject(f.image, {ch::FileSource(program()).to("/usr/bin" + nul)}));
  CHECK_FALSE(ch::take_out(f.image.native() + nul));
  const auto listed = ch::injected(f.image.native() + nul);
  REQUIRE_FALSE(listed);
  CHECK(contains(listed.error().cause, "NUL"));
  CHECK(test::everything(f.image, true) == before);
}
