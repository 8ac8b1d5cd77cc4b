// SPDX-License-Identifier: Apache-2.0
//
// Counts the system calls of a launch. Times depend on the machine; counts don't,
// and fewer calls make a launch on a thousand nodes faster. A change that needs another
// call raises the number here, and explains in docs/performance.md what it gains.

#include <sys/syscall.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "ch/plan/host_facts.hpp"
#include "tests/support/ch_run.hpp"
#include "tests/support/tracer.hpp"

#if defined(CHARLIE_HAVE_TRACER)

namespace {

std::size_t count(const std::vector<test::Call>& calls, std::vector<long> wanted) {
  return static_cast<std::size_t>(std::count_if(calls.begin(), calls.end(), [&](const auto& call) {
    return std::find(wanted.begin(), wanted.end(), call.number) != wanted.end();
  }));
}

}  // namespace

TEST_CASE("a launch makes no more system calls than it did", "[tool]") {
  STATIC_TOOLS_ONLY();
  test::ChRun f;
  f.options.environment.push_back("USER=somebody");
  for (const char* file : {"/etc/hosts", "/etc/resolv.conf", "/etc/machine-id"})
    test::run({"/bin/sh", "-c", "mkdir -p \"$0/etc\" && touch \"$0$1\"", f.image, file});
  const auto launched =
      test::trace_tool({test::ch_run_path(), f.image, "--", "/bin/true"}, f.options.environment);
  REQUIRE(launched.status == 0);

  ch::kernel::Linux kernel;
  const bool newest = ch::probe(kernel).assembly == ch::Assembly::detached;
  // An older kernel needs one more scratch file system, and attaches mounts one at a time.
  CHECK(launched.calls.size() <= (newest ? 70U : 84U));
  constexpr long open_tree_attr = 467;
  CHECK(count(launched.calls, {__NR_openat, __NR_openat2, __NR_open, __NR_open_tree, open_tree_attr,
                               __NR_fsopen}) <= (newest ? 35U : 38U));
  CHECK(count(launched.calls, {__NR_mmap, __NR_brk, __NR_mprotect}) == 0);
  CHECK(count(launched.calls, {__NR_fork, __NR_vfork, __NR_clone, __NR_clone3}) == 0);
}

TEST_CASE("asking for less makes fewer system calls", "[tool]") {
  STATIC_TOOLS_ONLY();
  test::ChRun f;
  const auto calls = [&](std::vector<std::string> words) {
    words.insert(words.begin(), test::ch_run_path());
    words.insert(words.end(), {f.image, "--", "/bin/true"});
    const auto launched = test::trace_tool(words, f.options.environment);
    REQUIRE(launched.status == 0);
    return launched.calls.size();
  };
  const auto usual = calls({});
  CHECK(calls({"--no-home"}) < usual);
  CHECK(calls({"--no-home", "--no-passwd"}) < calls({"--no-home"}));
}

#endif
