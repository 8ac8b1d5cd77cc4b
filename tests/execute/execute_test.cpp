// SPDX-License-Identifier: Apache-2.0
//
// The executor under a kernel that fails on demand: whichever call fails, the error names
// the right step, nothing is left open, and no later step is attempted.

#include "ch/execute/execute.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "ch/kernel/recording.hpp"
#include "ch/show/explain.hpp"
#include "tests/support/default_plan.hpp"

using namespace ch;
using kernel::Call;
using kernel::Recording;

namespace {

/// A recording kernel that is notified of steps: records which step each call belongs to.
struct StepRecording : Recording<512> {
  std::size_t first_call_of[64] = {};
  std::size_t steps = 0;
  /// The files of /proc that list mounts.
  StepRecording() { set_file_content("mnt_id:\t7\n7 1 0:1 / /root rw - tmpfs tmpfs rw\n"); }
  void on_step(StepIndex, const Step&) noexcept { first_call_of[steps++] = size(); }
  [[nodiscard]] int step_of(std::size_t call) const {
    int step = -1;
    while (step + 1 < static_cast<int>(steps) && first_call_of[step + 1] <= call) ++step;
    return step;
  }
};

std::string trace_of(const StepRecording& k) {
  std::string text;
  for (const auto& record : k.trace()) text += std::string(record.text) + "\n";
  return text;
}

/// Calls whose failure a launch survives, because there is another way or nothing is lost.
bool has_another_way(Call call, Errno code, Assembly way) {
  if (code == Errno::enosys && way != Assembly::classic)
    for (const Call api : {Call::open_tree, Call::move_mount, Call::mount_setattr, Call::fsopen,
                           Call::fsconfig, Call::fsmount})
      if (call == api) return true;
  if (call == Call::close || call == Call::prlimit64) return true;
  if (call == Call::open_tree_attr || call == Call::openat2)
    return code == Errno::enosys || code == Errno::eperm;
  if (call == Call::close_range) return code == Errno::enosys || code == Errno::eperm;
  return false;
}

}  // namespace

TEST_CASE("a successful plan makes its calls in order and leaves nothing open", "[recorded]") {
  test::DefaultPlan d;
  StepRecording k;
  const Result<void> done = execute(k, d.plan, d.arena);
  REQUIRE_FALSE(done);  // the recording kernel's execve can't succeed
  CHECK(done.error().operation == Call::execve);
  CHECK(static_cast<std::size_t>(done.error().step) + 1 == d.plan.steps.size());
  CHECK(k.steps == d.plan.steps.size());
  CHECK(k.open_descriptors() == 0);
  const std::string trace = trace_of(k);
  CHECK(trace.rfind("unshare(0x10020000) = 0\nopenat(cwd, \"/proc/self/setgroups\"", 0) == 0);
  CHECK(trace.find("write(3, \"1000 1000 1\\n\", 12) = 12") != std::string::npos);
  CHECK(trace.find("pivot_root(\".\", \".\") = 0\numount2(\".\", 0x2) = 0") != std::string::npos);
}

TEST_CASE("whichever call fails, the error names its step and nothing stays open", "[recorded]") {
  for (const Assembly way : {Assembly::detached, Assembly::attached, Assembly::classic}) {
    test::DefaultPlan d(way);
    StepRecording healthy;
    (void)execute(healthy, d.plan, d.arena);
    REQUIRE(healthy.size() < 512);
    for (std::size_t call = 0; call + 1 < healthy.size(); ++call) {
      for (const Errno code : {Errno::eperm, Errno::enomem, Errno::enosys}) {
        const Call which = healthy.trace()[call].call;
        INFO("way " << static_cast<int>(way) << ", call " << healthy.trace()[call].text
                    << ", errno " << static_cast<int>(code));
        StepRecording k;
        k.fail_at(call, code);
        const Result<void> done = execute(k, d.plan, d.arena);
        REQUIRE_FALSE(done);
        CHECK(k.open_descriptors() <= (which == Call::close ? 1 : 0));
        if (has_another_way(which, code, way)) {
          CHECK(done.error().operation == Call::execve);
          continue;
        }
        CHECK(done.error().code == code);
        CHECK(done.error().operation == which);
        CHECK(static_cast<int>(done.error().step) == healthy.step_of(call));
        CHECK(k.steps == static_cast<std::size_t>(done.error().step) + 1);
      }
    }
  }
}

TEST_CASE("a missing mount point is skipped, made in an overlay, or an error, as the step says",
          "[recorded]") {
  test::DefaultPlan d;
  StepRecording healthy;
  (void)execute(healthy, d.plan, d.arena);
  int optional = 0;
  int overlaid = 0;
  for (std::size_t call = 0; call < healthy.size(); ++call) {
    const auto step = static_cast<std::size_t>(healthy.step_of(call));
    const auto* bind = std::get_if<step::Bind>(&d.plan.steps[step]);
    const Call which = healthy.trace()[call].call;
    if (bind == nullptr ||
        (which != Call::open_tree && which != Call::open_tree_attr && which != Call::openat2))
      continue;
    StepRecording k;
    k.fail_at(call, Errno::enoent);
    const Result<void> done = execute(k, d.plan, d.arena);
    REQUIRE_FALSE(done);
    INFO(bind->destination.c_str());
    if (bind->if_missing == IfMissing::skip) {
      ++optional;
      CHECK(done.error().operation == Call::execve);
    } else if (bind->if_missing == IfMissing::create && which == Call::openat2) {
      ++overlaid;  // started over, on an overlay
      CHECK(done.error().operation == Call::execve);
      CHECK(trace_of(k).find("fsopen(\"overlay\"") != std::string::npos);
    } else {
      CHECK(done.error().code == Errno::enoent);
      CHECK(done.error().operation == which);
    }
    CHECK(k.open_descriptors() == 0);
  }
  CHECK(optional == 8);
  CHECK(overlaid == 2);  // /tmp and /mnt/0
}

TEST_CASE("if what is attached can't be unmounted, the launch fails instead of starting over",
          "[recorded]") {
  for (const Errno reason :
       {Errno::enosys, Errno::enoent}) {  // the mount API, or /mnt/0, is missing
    test::DefaultPlan d(Assembly::attached);
    StepRecording healthy;
    (void)execute(healthy, d.plan, d.arena);
    const auto step = [&](const Error& e) { return static_cast<std::size_t>(e.step); };
    int restarts = 0;
    for (std::size_t call = 0; call < healthy.size(); ++call) {
      StepRecording k;
      k.fail_at(call, reason);
      k.hide(Call::umount2, Errno::eperm);
      const Result<void> done = execute(k, d.plan, d.arena);
      REQUIRE_FALSE(done);
      const std::string trace = trace_of(k);
      INFO(healthy.trace()[call].text << ", step " << step(done.error()));
      CHECK(trace.find("fsopen(\"overlay\"") == std::string::npos);
      if (done.error().operation == Call::umount2 &&
          !std::holds_alternative<step::EnterRoot>(d.plan.steps[step(done.error())])) {
        CHECK(done.error().code == Errno::eperm);
        ++restarts;
      }
      const auto staged = trace.find("\"stage-file\"");  // once at most
      CHECK((staged == std::string::npos ||
             trace.find("\"stage-file\"", staged + 1) == std::string::npos));
      CHECK(k.open_descriptors() <= 1);
    }
    CHECK(restarts >= 2);
  }
}

TEST_CASE("descriptors stay open until exec if requested", "[recorded]") {
  test::DefaultPlan d;
  Recording<512> k;
  (void)execute(k, d.plan, d.arena, Descriptors::close_at_exec);
  CHECK(k.open_descriptors() > 20);
  for (const auto& record : k.trace()) CHECK(record.call != Call::close);
}

TEST_CASE("with many binds, descriptors are closed before the limit", "[recorded]") {
  test::DefaultPlan d(Assembly::detached, 500);
  Recording<1> k;
  const Result<void> done = execute(k, d.plan, d.arena, Descriptors::close_at_exec);
  CHECK(done.error().operation == Call::execve);
  CHECK(k.open_descriptors() < 200);
}

TEST_CASE("a default launch makes at most 77 system calls", "[recorded]") {
  test::DefaultPlan d;
  Recording<512> k;
  (void)execute(k, d.plan, d.arena, Descriptors::close_at_exec);
  CHECK(k.size() + 10 <= 77);  // and ten to look up our ids, and to exec ch-run itself
}

TEST_CASE("a name without slash is looked for along the search path", "[recorded]") {
  const char* argv[] = {"tool", nullptr};
  const Step steps[] = {step::Execute{"tool", argv, argv, "/a:/b::/c"}};
  const Plan plan{steps};
  ArenaOf<64> arena;
  const auto blamed = [&](const Result<void>& done) {
    TextBuffer<64> path;
    write_path(path, done.error(), plan);
    return std::string(path.view());
  };
  Recording<> k;
  k.hide(Call::openat, Errno::enoent);
  const auto nowhere = execute(k, plan, arena);
  CHECK(blamed(nowhere) == "tool");
  CHECK(std::string(k.trace()[0].text).rfind("execve(\"/a/tool\"", 0) == 0);
  CHECK(std::string(k.trace()[2].text).rfind("execve(\"./tool\"", 0) == 0);
  SECTION("one without interpreter is told from none by a second look") {
    Recording<> half;
    half.hide(Call::openat, Errno::enoent);
    half.fail_at(4, Errno::enotdir);
    CHECK(blamed(execute(half, plan, arena)) == "tool");
    CHECK(half.size() == 8);
    Recording<> found;
    found.fail_at(4, Errno::enoent);
    const auto done = execute(found, plan, arena);
    CHECK(found.open_descriptors() == 0);
    CHECK(done.error().code == Errno::enoent);
    CHECK(blamed(done) == "/b/tool");
  }
  SECTION("one that may not be executed is reported only if none can be") {
    Recording<> denied;
    denied.fail_at(0, Errno::eacces);
    const auto done = execute(denied, plan, arena);
    CHECK(denied.size() == 6);
    CHECK(denied.open_descriptors() == 0);
    CHECK(done.error().code == Errno::eacces);
    CHECK(done.error().operation == Call::execve);
    CHECK(blamed(done) == "/a/tool");
  }
  SECTION("a directory that may not be searched is at fault only if no file is") {
    Recording<> closed;
    closed.hide(Call::openat, Errno::eacces);
    closed.fail_at(2, Errno::eacces);
    const auto done = execute(closed, plan, arena);
    CHECK(done.error().code == Errno::eacces);
    CHECK(done.error().operation == Call::openat);
    CHECK(blamed(done) == "./tool");
  }
  SECTION("a broken one stops the search") {
    Recording<> broken;
    broken.fail_at(1, Errno::enoexec);
    const auto done = execute(broken, plan, arena);
    CHECK(broken.size() == 2);
    CHECK(done.error().code == Errno::enoexec);
    CHECK(blamed(done) == "/b/tool");
  }
}

TEST_CASE("a last, empty directory of the search path is named as the working directory",
          "[recorded]") {
  const char* argv[] = {"tool", nullptr};
  const Step steps[] = {step::Execute{"tool", argv, argv, "/a:"}};
  const Plan plan{steps};
  ArenaOf<64> arena;
  Recording<> k;
  k.hide(Call::openat, Errno::enoent);
  k.fail_at(1, Errno::enoexec);
  const auto done = execute(k, plan, arena);
  TextBuffer<512> text;
  write_message(text, "x", done.error(), plan, {});
  CHECK(std::string(text.view()).rfind("x: error: can't execute ./tool: ", 0) == 0);
}

TEST_CASE("a program's own path is at fault where a directory of it may not be searched",
          "[recorded]") {
  const char* argv[] = {"tool", nullptr};
  const Step steps[] = {step::Execute{"/a/tool", argv, argv, "/a"}};
  ArenaOf<64> arena;
  for (const bool closed : {false, true}) {
    Recording<> k;
    k.fail_at(0, Errno::eacces);
    if (closed) k.hide(Call::openat, Errno::eacces);
    const auto done = execute(k, Plan{steps}, arena);
    CHECK(done.error().operation == (closed ? Call::openat : Call::execve));
    CHECK(done.error().path.view() == "/a/tool");
  }
}
