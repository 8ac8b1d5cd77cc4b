// SPDX-License-Identifier: Apache-2.0
//
// What a plan depends on: versions, accounts; and which plans make sense.

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "ch/kernel/recording.hpp"
#include "ch/plan/account.hpp"
#include "ch/plan/host_facts.hpp"
#include "ch/plan/validate.hpp"
#include "tests/support/default_plan.hpp"
#include "tests/support/files.hpp"

using namespace ch;

TEST_CASE("a release string gives the version, or nothing", "[pure]") {
  CHECK(parse_release("6.18.44-fc") == KernelVersion{6, 18});
  CHECK(parse_release("4.18.0-553.el8_10.x86_64") == KernelVersion{4, 18});
  CHECK(parse_release("5") == KernelVersion{});
  CHECK(parse_release("") == KernelVersion{});
  CHECK(parse_release("x.y") == KernelVersion{});
}

TEST_CASE("the assembly is the best that a kernel supports", "[pure]") {
  CHECK(best_assembly({6, 15}) == Assembly::detached);
  CHECK(best_assembly({6, 14}) == Assembly::attached);
  CHECK(best_assembly({5, 12}) == Assembly::attached);
  CHECK(best_assembly({5, 11}) == Assembly::classic);
  CHECK(best_assembly({4, 18}) == Assembly::classic);
  CHECK(best_assembly({}) == Assembly::classic);
}

TEST_CASE("facts come from the kernel", "[recorded]") {
  kernel::Recording<> k;
  const HostFacts facts = probe(k);
  CHECK(facts.uid == static_cast<Uid>(1000));
  CHECK(facts.kernel == KernelVersion{6, 18});
  CHECK(facts.assembly == Assembly::detached);
}

TEST_CASE("an account is found by its number, in files of any size", "[pure]") {
  const test::TempDir dir;
  kernel::Linux k;
  ArenaOf<4096> arena;
  const std::string path = dir / "passwd";
  std::string text =
      "root:x:0:0:root:/root:/bin/bash\nbroken line\n:::\nx:x:1x:\n4:4\na:4\n:x:y:4:z:4\n";
  text += "long:x:5:5:" + std::string(20000, 'g') + ":/long:/bin/sh\n";
  for (int i = 1000; i < 3000; ++i)
    text += "u" + std::to_string(i) + ":x:" + std::to_string(i) + ":100:a b:/home/u" +
            std::to_string(i) + ":/bin/sh\n";
  text += "last:x:9999:1::/last:/bin/sh";  // no newline at the end
  test::write_file(path, text);
  CHECK(find_account(k, arena, 0, path.c_str()).home == ZString("/root"));
  CHECK(find_account(k, arena, 2345, path.c_str()).name == ZString("u2345"));
  CHECK(find_account(k, arena, 9999, path.c_str()).home == ZString("/last"));
  CHECK(find_account(k, arena, 5, path.c_str()).name == ZString("long"));
  CHECK(find_account(k, arena, 5, path.c_str()).home.empty());  // too far from the start
  CHECK(find_account(k, arena, 4, path.c_str()).name.empty());
  CHECK(find_account(k, arena, 0, (dir / "none").c_str()).name.empty());
}

TEST_CASE("a default plan is valid", "[pure]") {
  const test::DefaultPlan d;
  CHECK(validate(d.plan));
}

TEST_CASE("plans that can't work are refused before anything happens", "[pure]") {
  const step::CreateNamespaces make{NamespaceSet<ns::user, ns::mount>::flags()};
  const step::OpenImage image{HostPath("/i")};
  const step::Bind bind{HostPath("/a"), ImagePath("/b")};
  const char* const words[] = {"true", nullptr};
  const step::Execute execute{"true", words, words + 1, {}};
  const auto problem = [](std::initializer_list<Step> steps) {
    const auto valid = validate(Plan{{steps.begin(), steps.size()}});
    return std::string(valid ? "" : valid.error().why.c_str());
  };
  CHECK(problem({}) == "a plan begins with namespaces, and this one has no steps");
  CHECK(problem({image, step::EnterRoot{}}) == "the namespaces come first, and once");
  CHECK(problem({make, make}) == "the namespaces come first, and once");
  const step::JoinNamespaces join{Pid{1}, NamespaceSet<ns::user, ns::mount>::flags()};
  CHECK(problem({join, join, step::ForbidNewPrivileges{}}).empty());
  CHECK(problem({step::JoinNamespaces{}, step::ForbidNewPrivileges{}}) ==
        "no process or open file stands for the namespaces to join");
  CHECK(problem({join, make}) == "the namespaces come first, and once");
  CHECK(problem({join, step::ForbidNewPrivileges{}, join}) ==
        "the namespaces come first, and once");
  CHECK(problem({make, image, image}) == "a container has one image");
  CHECK(problem({make, image}) == "the image is opened but never entered");
  CHECK(problem({make, bind}) == "mounts go between OpenImage and EnterRoot");
  CHECK(problem({make, image, step::EnterRoot{}, bind}) ==
        "mounts go between OpenImage and EnterRoot");
  CHECK(problem({make, image, step::Bind{HostPath("/a"), ImagePath("b")}}) ==
        "a destination is an absolute path in the container");
  CHECK(problem({make, image, step::Bind{HostPath("/a"), ImagePath("//")}}) ==
        "the root itself can't be a destination");
  CHECK(problem({make, image, step::BindScratch{ScratchPath("x"), ImagePath("/x")}}) ==
        "scratch is used between MakeScratch and EnterRoot");
  CHECK(problem({make, step::EnterRoot{}}) == "EnterRoot needs an open image, and happens once");
  CHECK(problem({make, execute, step::ForbidNewPrivileges{}}) == "nothing may follow Execute");
  CHECK(problem({make, image, bind, step::EnterRoot{}, execute}).empty());
}

TEST_CASE("privilege is differing ids, AT_SECURE, or root with an unexpected group", "[pure]") {
  CHECK(privilege_of({1000, 1000, 100, 100, false}) == Privilege::none);
  CHECK(privilege_of({0, 0, 0, 0, false}) == Privilege::none);
  CHECK(privilege_of({1000, 0, 100, 100, true}) == Privilege::set_id);
  CHECK(privilege_of({1000, 1000, 100, 0, true}) == Privilege::set_id);
  CHECK(privilege_of({1000, 1000, 100, 100, true}) == Privilege::file);
  CHECK(privilege_of({0, 0, 100, 100, false}) == Privilege::foreign_group);
}

TEST_CASE("the ids in the auxiliary vector are found behind an environment that has shrunk",
          "[pure]") {
  static char variable[] = "A=b";
  const auto word = reinterpret_cast<long>(&variable[0]);
  // Variables that the dynamic loader takes away from a program with privilege leave nulls.
  for (const long nulls : {1, 2, 3}) {
    std::vector<long> stack{word};
    stack.insert(stack.end(), static_cast<std::size_t>(nulls), 0);
    stack.insert(stack.end(), {33, word, 11, 1000, 12, 0, 13, 100, 14, 5, 23, 1, 0, 0});
    Identity who;
    REQUIRE(identity_at_start(reinterpret_cast<const char* const*>(stack.data()), who));
    CHECK(who.uid == 1000);
    CHECK(who.effective_uid == 0);
    CHECK(who.gid == 100);
    CHECK(who.effective_gid == 5);
    CHECK(who.secure);
  }
}

TEST_CASE("with privilege nothing is planned", "[pure]") {
  ArenaOf<16384> arena;
  HostFacts facts{static_cast<Uid>(7), static_cast<Gid>(8), {6, 18}};
  const Container<NamespaceSet<ns::user>> box;
  CHECK(box.plan(facts, arena));
  facts.privilege = Privilege::set_id;
  const auto plan = box.plan(facts, arena);
  REQUIRE_FALSE(plan);
  CHECK(plan.error().code == Errno::eperm);
}
