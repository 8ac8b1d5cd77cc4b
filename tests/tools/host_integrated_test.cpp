// SPDX-License-Identifier: Apache-2.0
//
// A program that calls the library gets what `ch-run IMAGE -- COMMAND` makes: the same plan,
// and from inside the same view.

#include "ch/host_integrated.hpp"

#include <catch2/catch.hpp>
#include <sstream>

#include "ch/launch.hpp"
#include "ch/show/print_json.hpp"
#include "tests/support/ch_run.hpp"

using namespace ch;

namespace {

/// An image with metadata, and the launch of a command in it by the library.
struct Library {
  test::ChRun f;
  kernel::Linux k;
  ArenaOf<std::size_t{1} << 20> arena;
  std::vector<const char*> envp;
  HostIntegrated made;

  Library() {
    test::fs::create_directories(f.image + "/ch");
    test::fs::create_directories(f.image + "/work");
    test::write_file(f.image + "/ch/environment", "OF_IMAGE=yes $HOME\nPATH=/opt/bin:/usr/bin\n");
    const char process[] = "directory=/work\0entrypoint=sh\0cmd=-c\0cmd=exit 5\0";
    test::write_file(f.image + "/ch/process", std::string(process, sizeof process - 1));
    f.options.environment.push_back("USER=somebody");
  }
  [[nodiscard]] HostIntegratedProblem integrate_with(HostIntegratedChoices choices) {
    for (const auto& variable : f.options.environment) envp.push_back(variable.c_str());
    envp.push_back(nullptr);
    choices.image = HostPath(f.image.c_str());
    Environment environment(arena, envp.data());
    return integrate(k, probe(k), choices, environment, made);
  }
  [[nodiscard]] std::string plan_json() {
    const auto plan = made.container.plan(probe(k), made.program, arena);
    REQUIRE(plan);
    std::string text;
    print_json(*plan, [&](std::string_view piece) { text += piece; });
    return text;
  }
};

/// mountinfo without the numbers of mounts and devices, which no two containers share.
std::string without_numbers(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  std::string kept;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string id, parent, device, rest;
    fields >> id >> parent >> device;
    std::getline(fields, rest);
    kept += rest + "\n";
  }
  return kept;
}

}  // namespace

TEST_CASE("the library plans what ch-run plans, step for step", "[tool]") {
  Library l;
  HostIntegratedChoices choices;
  std::vector<std::string> words = {"--explain=json"};
  const char* const command[] = {"env", "-0", nullptr};
  const UserBind bind{HostPath("/usr"), ImagePath("/mnt/usr"), Access::read_only};
  const InnerEdit edits[] = {{{EditKind::set_assignment, "A=$HOME/x", {}, Expansion::on}},
                             {{EditKind::unset_glob, "ODD*"}},
                             {{EditKind::set_lines, {}, {}, Expansion::on}, true}};
  SECTION("of the image alone") { words.push_back(l.f.image); }
  SECTION("with a command") {
    choices.command = command;
    words.insert(words.end(), {l.f.image, "--", "env", "-0"});
  }
  SECTION("with much besides") {
    choices.command = command;
    choices.uid = Uid::root;
    choices.gid = Gid::root;
    choices.home = false;
    choices.tmp = TmpKind::private_tmpfs;
    choices.image_access = Access::read_write;
    choices.binds = {&bind, 1};
    choices.environment = edits;
    choices.image_environment = false;
    choices.directory = ImagePath("/tmp");
    words.insert(words.end(),
                 {"--uid=0", "--gid=0", "--no-home", "--private-tmp", "--write",
                  "--bind=/usr:/mnt/usr:ro", "--set-env=A=$HOME/x", "--unset-env=ODD*", "--set-env",
                  "--no-image-env", "--cd=/tmp", l.f.image, "--", "env", "-0"});
  }
  const auto ran = l.f.ch_run(words);
  INFO(ran.err);
  REQUIRE(ran.status == 0);
  REQUIRE(l.integrate_with(choices).ok());
  CHECK(l.plan_json() == ran.out);
}

TEST_CASE("a program sees the same from inside, whoever launched it", "[tool]") {
  Library l;
  const std::string script =
      "{ env | sort; pwd; id; cat /etc/passwd /etc/group; } > ~/seen; "
      "cat /proc/self/mountinfo > ~/mounts; exit 9";
  const auto ran = l.f.ch_run({l.f.image, "--", "sh", "-c", script});
  INFO(ran.err);
  CHECK(ran.status == 9);
  const std::string seen = test::read_file(l.f.home + "/seen");
  const std::string mounts = test::read_file(l.f.home + "/mounts");
  CHECK(test::contains(seen, "OF_IMAGE=yes $HOME\n"));
  CHECK(test::contains(seen, "\n/work\n"));
  test::fs::remove(l.f.home + "/seen");
  test::fs::remove(l.f.home + "/mounts");

  const char* const command[] = {"sh", "-c", script.c_str(), nullptr};
  HostIntegratedChoices choices;
  choices.command = command;
  REQUIRE(l.integrate_with(choices).ok());
  const auto ended = run(l.k, l.made.container, l.made.program, l.arena);
  REQUIRE(ended);
  CHECK(ended->code == 9);
  CHECK(test::read_file(l.f.home + "/seen") == seen);
  CHECK(without_numbers(test::read_file(l.f.home + "/mounts")) == without_numbers(mounts));
}

TEST_CASE("the image's command runs by default", "[tool]") {
  Library l;
  REQUIRE(l.integrate_with({}).ok());
  const auto ended = run(l.k, l.made.container, l.made.program, l.arena);
  REQUIRE(ended);
  CHECK(ended->code == 5);
}

TEST_CASE("a container that can't be made is a value with a text and an errno", "[tool]") {
  Library l;
  HostIntegratedChoices choices;
  TextBuffer<256> words;
  SECTION("an edit") {
    const InnerEdit edit{{EditKind::set_assignment, "no delimiter"}};
    choices.environment = {&edit, 1};
    const auto problem = l.integrate_with(choices);
    words << problem;
    CHECK(problem.code == Errno::einval);
    CHECK(std::string(words.view()) == "can't parse variable: no delimiter: no delimiter");
  }
  SECTION("an image that says more of itself than there is room for") {
    test::write_file(l.f.image + "/ch/environment", std::string(std::size_t{2} << 20, 'x'));
    const auto problem = l.integrate_with(choices);
    words << problem;
    CHECK(problem.code == Errno::enomem);
    CHECK(std::string(words.view()) == "can't read what the image says of itself: /ch/environment");
  }
  SECTION("no image") {
    Environment environment(l.arena, std::vector<const char*>{nullptr}.data());
    REQUIRE(integrate(l.k, probe(l.k), {}, environment, l.made).ok());
    const auto plan = l.made.container.plan(probe(l.k), l.made.program, l.arena);
    REQUIRE_FALSE(plan);
    CHECK(plan.error().code == Errno::einval);
  }
}
