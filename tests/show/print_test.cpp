// SPDX-License-Identifier: Apache-2.0
//
// Printed plans: as text, as JSON, as a shell script.

#include <catch2/catch.hpp>
#include <string>

#include "ch/show/print_json.hpp"
#include "ch/show/print_shell.hpp"
#include "ch/show/print_text.hpp"
#include "tests/support/default_plan.hpp"

using namespace ch;

namespace {

std::string as_text(const Plan& plan) {
  std::string text;
  print_text(plan, [&](std::string_view piece) { text += piece; });
  return text;
}
std::string as_json(const Plan& plan) {
  std::string text;
  print_json(plan, [&](std::string_view piece) { text += piece; });
  return text;
}
std::string as_shell(const Plan& plan, const char* const* environment = nullptr) {
  std::string text;
  print_shell(
      plan, [&](std::string_view piece) { text += piece; }, environment);
  return text;
}

}  // namespace

TEST_CASE("a plan reads as numbered steps", "[pure]") {
  const test::DefaultPlan d;
  CHECK(as_text(d.plan) ==
        " 1  make namespaces: user, mnt\n"
        " 2  deny setgroups\n"
        " 3  map uid 1000 inside to 1000 outside\n"
        " 4  map gid 1000 inside to 1000 outside\n"
        " 5  open image /images/debian, read-only\n"
        " 6  make a tmpfs for generated files\n"
        " 7  overlay the image if mount points are missing\n"
        " 8  write file tmpfs:passwd, 115 bytes\n"
        " 9  write file tmpfs:group, 41 bytes\n"
        "10  bind tmpfs:passwd on /etc/passwd, read-only, if both exist\n"
        "11  bind tmpfs:group on /etc/group, read-only, if both exist\n"
        "12  make directory tmpfs:home\n"
        "13  make directory tmpfs:home/alice\n"
        "14  bind tmpfs:home on /home\n"
        "15  bind /users/alice on /home/alice, if both exist\n"
        "16  bind /etc/hosts on /etc/hosts, read-only, if both exist\n"
        "17  bind /etc/resolv.conf on /etc/resolv.conf, read-only, if both exist\n"
        "18  bind /etc/machine-id on /etc/machine-id, read-only, if both exist\n"
        "19  bind /tmp on /tmp\n"
        "20  bind /dev on /dev\n"
        "21  bind /proc on /proc\n"
        "22  bind /sys on /sys\n"
        "23  bind /data on /mnt/0, read-only\n"
        "24  make this tree the root and detach the host's\n"
        "25  change directory to /work\n"
        "26  forbid new privileges\n"
        "27  close descriptors from 3 on\n"
        "28  execute /bin/true it's\n");
}

TEST_CASE("a plan is one JSON object", "[pure]") {
  const Step steps[] = {
      step::JoinNamespaces{static_cast<Pid>(42), NamespaceSet<ns::user, ns::mount>::flags()},
      step::Bind{HostPath("/a\"b\\c"), ImagePath("/x\ny\xff"), Access::read_only, IfMissing::skip},
  };
  CHECK(as_json(Plan{steps, Assembly::classic}) ==
        "{\"assembly\": \"classic\", \"steps\": [\n"
        "  {\"step\": \"join-namespaces\", \"pid\": 42, \"namespaces\": [\"user\", \"mnt\"], "
        "\"file\": \"\"},\n"
        "  {\"step\": \"bind\", \"source\": \"/a\\\"b\\\\c\", \"destination\": "
        "\"/x\\u000ay\\u00ff\", "
        "\"access\": \"read-only\", \"if_missing\": \"skip\"}\n"
        "]}\n");
}

TEST_CASE("JSON text stays valid UTF-8 whatever the bytes", "[pure]") {
  const auto string = [](std::string_view text) {
    std::string out;
    auto sink = [&](std::string_view piece) { out += piece; };
    detail::JsonWriter(sink).string(text);
    return out;
  };
  CHECK(string("h\xc3\xa9") == "\"h\xc3\xa9\"");
  CHECK(string("\xc3") == "\"\\u00c3\"");                        // cut
  CHECK(string("\xc0\xaf") == "\"\\u00c0\\u00af\"");             // overlong
  CHECK(string("\xed\xa0\x80") == "\"\\u00ed\\u00a0\\u0080\"");  // surrogate
  CHECK(string("\xf0\x9f\x90\x8e") == "\"\xf0\x9f\x90\x8e\"");
}

TEST_CASE("the shell script quotes what it is given", "[pure]") {
  const test::DefaultPlan d;
  const char* now[] = {"PATH=/bin", "OLD=1", "HOME=/root", nullptr};
  const std::string script = as_shell(d.plan, now);
  CHECK(script.rfind("#!/bin/sh\n", 0) == 0);
  CHECK(script.find("'/bin/true' 'it'\\''s'\n") != std::string::npos);
  CHECK(script.find("unset OLD\nexport HOME='/home/alice'\n") != std::string::npos);
  CHECK(script.find("--map-user=1000 --map-group=1000") != std::string::npos);
  CHECK(script.find("pivot_root . .\n") != std::string::npos);
}

TEST_CASE("the shell script joins namespaces by their files", "[pure]") {
  const Step steps[] = {step::JoinNamespaces{Pid::none, ns::user::flag, Fd{3}, "/run/u"},
                        step::JoinNamespaces{Pid::none, ns::mount::flag, Fd{4}, "/run/it's"}};
  const std::string script = as_shell(Plan{steps, Assembly::detached});
  CHECK(script.find("nsenter --preserve-credentials --user='/run/u' --mount='/run/it'\\''s' -- ") !=
        std::string::npos);
}

TEST_CASE("namespaces alone make a script of one command", "[pure]") {
  const char* argv[] = {"id", nullptr};
  ArenaOf<16384> arena;
  const Container<NamespaceSet<ns::user, ns::uts, ns::net>, HostMounts, AsRoot> box;
  const HostFacts facts{static_cast<Uid>(7), static_cast<Gid>(8), {6, 18}};
  const auto plan = box.plan(facts, {"id", argv, nullptr, "/bin"}, arena);
  REQUIRE(plan);
  const std::string script = as_shell(*plan);
  CHECK(script.find("  CHARLIE_STAGE=2 exec unshare --user --net --uts --map-root-user -- "
                    "/bin/sh \"$0\"\n") != std::string::npos);
  CHECK(script.find("mount") == std::string::npos);
  CHECK(script.find("exec 'id'\n") != std::string::npos);
}
