// SPDX-License-Identifier: Apache-2.0
//
// From error numbers to causes and remedies.

#include "ch/show/explain.hpp"

#include "apps/ch-run/remedy_words.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/support/default_plan.hpp"

using namespace ch;

namespace {

/// The cause that is given when the step of type S fails so.
template <class S>
std::string cause(Errno code, kernel::Call call, ZString path = {}, const HostLimits& limits = {}) {
  static const test::DefaultPlan d;
  for (std::size_t i = 0; i < d.plan.steps.size(); ++i) {
    if (!std::holds_alternative<S>(d.plan.steps[i])) continue;
    return std::string(
        explain({code, call, static_cast<StepIndex>(i), path}, d.plan, limits).cause);
  }
  return "no such step";
}

bool says(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a refusal of namespaces names the switch at fault", "[pure]") {
  using step::CreateNamespaces;
  const auto call = kernel::Call::unshare;
  HostLimits limits;
  limits.max_user_namespaces = {true, 0};
  CHECK(says(cause<CreateNamespaces>(Errno::enospc, call, {}, limits), "user.max_user_namespaces"));
  limits = {};
  limits.max_mnt_namespaces = {true, 0};
  CHECK(says(cause<CreateNamespaces>(Errno::enospc, call, {}, limits), "user.max_mnt_namespaces"));
  limits = {};
  limits.unprivileged_userns_clone = {true, 0};
  CHECK(says(cause<CreateNamespaces>(Errno::eperm, call, {}, limits), "unprivileged_userns_clone"));
  limits = {};
  limits.apparmor_restricts_userns = {true, 1};
  CHECK(says(cause<CreateNamespaces>(Errno::eperm, call, {}, limits), "AppArmor"));
  limits = {};
  limits.chrooted = true;
  CHECK(says(cause<CreateNamespaces>(Errno::eperm, call, {}, limits), "chroot"));
  limits = {};
  limits.seccomp = {true, 2};
  CHECK(says(cause<CreateNamespaces>(Errno::enosys, call, {}, limits), "seccomp"));
  CHECK(says(cause<CreateNamespaces>(Errno::enospc, call), "limit on the number"));
  CHECK(says(cause<CreateNamespaces>(Errno::eperm, call), "no mapping"));
  CHECK(says(cause<CreateNamespaces>(Errno::einval, call), "threads"));
}

TEST_CASE("a missing file is attributed to the host or the image correctly", "[pure]") {
  CHECK(says(cause<step::OpenImage>(Errno::enoent, kernel::Call::open_tree), "on the host"));
  CHECK(says(cause<step::OpenImage>(Errno::enotdir, kernel::Call::open_tree), "not a directory"));
  CHECK(says(cause<step::OpenImage>(Errno::estale, kernel::Call::openat), "was replaced"));
  // The first bind of the default plan is home's, from /users/alice to /home/alice.
  CHECK(says(cause<step::Bind>(Errno::enoent, kernel::Call::open_tree, "/users/alice"),
             "on the host"));
  CHECK(says(cause<step::Bind>(Errno::enoent, kernel::Call::openat2, "/home/alice"),
             "no such mount point"));
  CHECK(says(cause<step::Bind>(Errno::enoent, kernel::Call::openat, "/home/alice"),
             "no such mount point"));
  CHECK(
      says(cause<step::ChangeDirectory>(Errno::enoent, kernel::Call::fchdir), "no such directory"));
}

TEST_CASE("a limit on the size of files is named", "[pure]") {
  CHECK(says(cause<step::WriteScratchFile>(Errno::efbig, kernel::Call::none, "passwd"),
             "limit on the size of files"));
}

TEST_CASE("reasons why a program does not start are distinguished", "[pure]") {
  const auto call = kernel::Call::execve;
  CHECK(says(cause<step::Execute>(Errno::enoent, call), "interpreter"));
  CHECK(says(cause<step::Execute>(Errno::eacces, call), "not executable"));
  CHECK(says(cause<step::Execute>(Errno::enoexec, call), "architecture"));
}

TEST_CASE("a program that PATH leads to in vain is named with its directory", "[pure]") {
  const char* argv[] = {"tool", nullptr};
  const Step steps[] = {step::Execute{"tool", argv, argv, "/usr/bin:/root/bin:/bin"}};
  const ZString& search_path = std::get<step::Execute>(steps[0]).search_path;
  const auto message = [&](Errno code, kernel::Call call, TextAddress path) {
    TextBuffer<1024> text;
    write_message(text, "x", {code, call, StepIndex{0}, path}, Plan{steps}, {});
    return std::string(text.view());
  };
  const TextAddress root = search_path.c_str() + 9;
  const std::string closed = message(Errno::eacces, kernel::Call::openat, root);
  CHECK(says(closed, "can't execute /root/bin/tool: Permission denied (EACCES) from openat\n"));
  CHECK(says(closed, "cause: you may not search a directory on the way to it, and no other"));
  CHECK(says(message(Errno::eacces, kernel::Call::execve, root), "not executable"));
  CHECK(says(message(Errno::enoent, kernel::Call::execve, root), "interpreter"));
  CHECK(says(message(Errno::enoent, kernel::Call::execve, ZString("tool")),
             "cause: no directory of the container's PATH"));
}

TEST_CASE("reasons why namespaces can't be joined are distinguished", "[pure]") {
  const Step steps[] = {step::JoinNamespaces{Pid{7}, ns::user::flag}};
  const auto why = [&](Errno code, ZString path) {
    return std::string(
        explain({code, kernel::Call::setns, StepIndex{0}, path}, Plan{steps}, {}).cause);
  };
  CHECK(says(why(Errno::esrch, {}), "no process"));
  CHECK(says(why(Errno::eperm, {}), "another user's"));
  CHECK(says(why(Errno::einval, {}), "in no container, or in the one"));
  CHECK(says(why(Errno::eperm, "/n"), "another user's"));
  CHECK(says(why(Errno::einval, "/n"), "no namespace of that kind"));
}

TEST_CASE("a limit is named whatever has reached it", "[pure]") {
  using kernel::Call;
  for (const Call call : {Call::clone, Call::clone3, Call::execve})
    CHECK(says(cause<step::CreateNamespaces>(Errno::eagain, call), "limit on processes"));
  for (const Errno code : {Errno::emfile, Errno::enfile})
    CHECK(says(cause<step::CreateNamespaces>(code, Call::clone3), "limit on open files"));
  // It is not for the lack of a step that nothing is known.
  for (const Errno code : {Errno::emfile, Errno::enfile, Errno::enomem}) {
    const Explanation known = explain({code, Call::pipe2}, {}, {});
    CHECK_FALSE(known.cause.empty());
    CHECK_FALSE(known.remedy.empty());
  }
  CHECK(explain({Errno::eagain, Call::read}, {}, {}).cause.empty());
}

TEST_CASE("a message says what, where, why and what to do", "[pure]") {
  const test::DefaultPlan d;
  TextBuffer<2048> text;
  write_message(
      text, "ch-run",
      {Errno::enoent, kernel::Call::open_tree, static_cast<StepIndex>(4), "/images/debian"}, d.plan,
      {});
  CHECK(text.view() ==
        "ch-run: error: can't open image /images/debian: No such file or directory (ENOENT) from "
        "open_tree\n"
        "ch-run: cause: there is nothing at this path on the host\n"
        "ch-run: remedy: check the path; an archive must be unpacked first\n");
}

TEST_CASE("an error without a step is from planning", "[pure]") {
  TextBuffer<256> text;
  ArenaOf<16> arena;
  const auto plan = PlanBuilder(arena).finish();
  REQUIRE_FALSE(plan);
  write_message(text, "x", plan.error(), {}, {});
  CHECK(text.view() ==
        "x: error: can't plan the container: Cannot allocate memory (ENOMEM)\n"
        "x: cause: the arena is too small for the plan\n");
}

TEST_CASE("every step and error has an answer that does not crash", "[pure]") {
  const test::DefaultPlan d;
  for (std::size_t i = 0; i < d.plan.steps.size(); ++i)
    for (const ErrnoText& row : errno_texts) {
      const Explanation e =
          explain({row.code, kernel::Call::openat2, static_cast<StepIndex>(i), {}}, d.plan, {});
      CHECK(e.cause.empty() == e.remedy.empty());
      // The choice to change is an option of a tool, and only the tool knows its name.
      CHECK(std::string(e.cause).find("--") == std::string::npos);
      CHECK(std::string(e.remedy).find("--") == std::string::npos);
    }
}

TEST_CASE("a tool words a remedy with its own options", "[pure]") {
  const test::DefaultPlan d;
  std::size_t filter = 0;
  std::vector<Step> steps(d.plan.steps.begin(), d.plan.steps.end());
  filter = steps.size();
  steps.push_back(step::InstallFilter{});
  const Error error{Errno::einval, kernel::Call::prctl, static_cast<StepIndex>(filter), {}};
  TextBuffer<2048> text;
  write_message(text, "x", error, Plan{steps}, {}, [](Remedy remedy) -> const char* {
    return remedy == Remedy::drop_filter ? "leave out --seccomp" : words_of(remedy);
  });
  CHECK(std::string(text.view()).find("x: remedy: leave out --seccomp\n") != std::string::npos);
  text.clear();
  write_message(text, "x", error, Plan{steps}, {});
  CHECK(std::string(text.view()).find("x: remedy: leave out the filter; ") != std::string::npos);
}

TEST_CASE("every error number that the launch knows by name is printed by name", "[pure]") {
  for (const Errno code : {Errno::exdev, Errno::eoverflow, Errno::estale}) {
    TextBuffer<128> text;
    text << code;
    CHECK(std::string(text.view()).find("error ") == std::string::npos);
  }
}

TEST_CASE("ch-run has words for the same remedies as the library", "[pure]") {
  int worded = 0;
  for (int kind = 0; kind <= static_cast<int>(Remedy::name_descriptions); ++kind) {
    const auto remedy = static_cast<Remedy>(kind);
    INFO(kind);
    CHECK((words_of(remedy) == nullptr) == (ch_run::remedy_words(remedy) == nullptr));
    worded += words_of(remedy) != nullptr ? 1 : 0;
  }
  CHECK(worded > 8);
}
