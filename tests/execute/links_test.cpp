// SPDX-License-Identifier: Apache-2.0
//
// The step that makes a link, under a kernel that remembers and fails on demand.

#include <catch2/catch.hpp>
#include <string>

#include "ch/execute/execute.hpp"
#include "ch/kernel/recording.hpp"
#include "ch/show/print_json.hpp"
#include "ch/show/print_shell.hpp"
#include "ch/show/print_text.hpp"

using namespace ch;
using kernel::Call;
using kernel::Recording;

namespace {

/// The steps around a link, in an image of the given access.
struct LinkPlan {
  Step steps[5];
  Plan plan;
  mutable ArenaOf<4096> arena;

  LinkPlan(const char* target, Access access)
      : steps{step::OpenImage{HostPath("/images/debian"), access}, step::MakeScratch{},
              step::Overlay{}, step::MakeLink{target, ImagePath("/usr/lib/libx.so")},
              step::EnterRoot{}},
        plan{steps} {}
};

template <class K>
std::string trace_of(const K& k) {
  std::string text;
  for (const auto& record : k.trace()) text += std::string(record.text) + "\n";
  return text;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

constexpr const char* found = "/image";  // every link, to the recording kernel

}  // namespace

TEST_CASE("a link that the image has already is left alone, without an overlay", "[recorded]") {
  const LinkPlan p(found, Access::read_only);
  Recording<> k;
  REQUIRE(execute(k, p.plan, p.arena));
  CHECK_FALSE(has(trace_of(k), "symlinkat"));
  CHECK_FALSE(has(trace_of(k), "overlay"));
  CHECK(k.open_descriptors() == 0);
}

TEST_CASE("a link that the image lacks is made in an overlay before that is mounted",
          "[recorded]") {
  const LinkPlan p("libx.so.1", Access::read_only);
  Recording<> k;
  const auto done = execute(k, p.plan, p.arena);
  const std::string trace = trace_of(k);
  REQUIRE(has(trace, "symlinkat(\"libx.so.1\", "));
  CHECK(trace.find("symlinkat") < trace.rfind("fsmount("));
  // This kernel shows the old link for ever, and that is noticed.
  REQUIRE_FALSE(done);
  CHECK(done.error().code == Errno::eexist);
  CHECK(static_cast<int>(done.error().step) == 3);
  CHECK(k.open_descriptors() == 0);
}

TEST_CASE("in a writable image a different link is replaced", "[recorded]") {
  const LinkPlan p("libx.so.1", Access::read_write);
  Recording<> healthy;
  REQUIRE(execute(healthy, p.plan, p.arena));
  std::size_t at = 0;
  while (healthy.trace()[at].call != Call::symlinkat) ++at;
  Recording<> taken;
  taken.fail_at(at, Errno::eexist);
  REQUIRE(execute(taken, p.plan, p.arena));
  const std::string trace = trace_of(taken);
  const auto removed = trace.find("unlinkat(");
  REQUIRE(removed != std::string::npos);
  CHECK(trace.find("symlinkat(", removed) != std::string::npos);
  CHECK(taken.open_descriptors() == 0);
}

TEST_CASE("whichever call of a link fails, the error names its step and nothing stays open",
          "[recorded]") {
  const LinkPlan p("libx.so.1", Access::read_write);
  Recording<> healthy;
  REQUIRE(execute(healthy, p.plan, p.arena));
  int failed = 0;
  for (std::size_t call = 0; call < healthy.size(); ++call) {
    for (const Errno code : {Errno::eperm, Errno::enomem, Errno::erofs}) {
      Recording<> k;
      k.fail_at(call, code);
      const auto done = execute(k, p.plan, p.arena);
      INFO("call " << healthy.trace()[call].text << ", errno " << static_cast<int>(code));
      const Call which = healthy.trace()[call].call;
      CHECK(k.open_descriptors() <= (which == Call::close ? 1 : 0));
      // Reading an existing link is only a query, for which there may be another way.
      if (done) continue;
      ++failed;
      CHECK(done.error().code == code);
      CHECK(done.error().operation == which);
    }
  }
  CHECK(failed > 20);
}

TEST_CASE("a link is printed in every form", "[pure]") {
  const LinkPlan p("libx's.so.1", Access::read_only);
  std::string text;
  const auto sink = [&](std::string_view piece) { text += piece; };
  print_text(p.plan, sink);
  CHECK(has(text, "link /usr/lib/libx.so to libx's.so.1\n"));
  text.clear();
  print_json(p.plan, sink);
  CHECK(has(text,
            "{\"step\": \"make-link\", \"target\": \"libx's.so.1\", "
            "\"destination\": \"/usr/lib/libx.so\"}"));
  text.clear();
  print_shell(p.plan, sink);
  CHECK(has(text, " 'libx'\\''s.so.1' '/usr/lib/libx.so'\n"));
}

TEST_CASE("a file with NUL bytes survives the shell", "[pure]") {
  const Step steps[] = {step::WriteScratchFile{ScratchPath("f"), std::string_view("a\0'", 3)}};
  std::string text;
  print_shell(Plan{steps}, [&](std::string_view piece) { text += piece; });
  CHECK(has(text, "printf '\\141\\000\\047' > \"$scratch\"/'f'\n"));
}
