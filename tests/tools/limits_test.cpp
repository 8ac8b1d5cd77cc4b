// SPDX-License-Identifier: Apache-2.0
//
// The tools under small limits (ulimit) and with a standard output that takes nothing: they
// work, or end with one clear error and a status; never by a signal, never as if all were well.

#include <sys/resource.h>

#include <algorithm>

#include "tests/support/ch_run.hpp"

namespace {

using test::contains;

const std::vector<std::string>& tools() {
  static const std::vector<std::string> all{
      test::ch_run_path(), test::tool("CH_TAR2DIR", CHARLIE_CH_TAR2DIR),
      test::tool("CH_FROMHOST", CHARLIE_CH_FROMHOST), test::tool("CH_DEVICE", CHARLIE_CH_DEVICE)};
  return all;
}

void limit(int what, rlim_t value) {
  const rlimit both{value, value};
  if (setrlimit(static_cast<__rlimit_resource>(what), &both) != 0) _exit(99);
}

/// Standard output, or another descriptor, goes to `path`.
std::function<void()> printing_to(const std::string& path, int descriptor = 1) {
  return [path, descriptor] {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT, 0644);
    if (fd < 0 || dup2(fd, descriptor) != descriptor) _exit(98);
  };
}

bool ended_by_itself(const test::Ran& ran) { return ran.status < 98; }

/// One error, of the tool itself; a remedy may follow.
bool one_error(const test::Ran& ran) {
  const auto at = ran.err.find(": error: ");
  return at != std::string::npos && ran.err.find(": error: ", at + 1) == std::string::npos;
}

std::string signals_of_self() { return test::run({"grep", "SigIgn:", "/proc/self/status"}).out; }

}  // namespace

TEST_CASE("output that can't be written is an error of every tool", "[tool]") {
  const auto must_fail = [](const test::Ran& ran, const std::string& what) {
    INFO(what << ": " << ran.status << ' ' << ran.err);
    CHECK(ran.status > 0);
    CHECK(ended_by_itself(ran));
    CHECK(one_error(ran));
    CHECK(contains(ran.err, ": error: can't write to standard output: No space left on device"));
  };
  test::ChRun f;
  f.options.in_child = printing_to("/dev/full");
  for (const auto& tool : tools())
    for (const char* option : {"--version", "--help", "--usage"})
      must_fail(test::run({tool, option}, f.options), tool + ' ' + option);
  must_fail(f.ch_run({"--check"}), "--check");
  for (const char* form : {"--explain", "--explain=json", "--explain=shell"})
    must_fail(f.ch_run({form, f.image, "--", "true"}), form);
}

TEST_CASE("a limit on the size of files makes ch-run fail, and does not kill it", "[tool]") {
  test::ChRun f;
  f.options.in_child = [] { limit(RLIMIT_FSIZE, 0); };
  const auto refused = f.script("true");
  INFO(refused.err);
  CHECK(refused.status == 31);
  CHECK(one_error(refused));
  CHECK(contains(refused.err, "the limit on the size of files"));
  CHECK(contains(refused.err, "ulimit -f"));
  // Without such files there is a container, which finds its signals as they were.
  const auto works =
      f.ch_run({"--no-passwd", f.image, "--", "grep", "SigIgn:", "/proc/self/status"});
  INFO(works.err);
  CHECK(works.status == 0);
  CHECK(works.out == signals_of_self());
}

TEST_CASE("output beyond the limit on the size of files is an error", "[tool]") {
  test::ChRun f;
  const auto print_to_file = [&](int descriptor) {
    const auto redirect = printing_to(f.dir / "out", descriptor);
    f.options.in_child = [redirect] {
      redirect();
      limit(RLIMIT_FSIZE, 0);
    };
  };
  print_to_file(1);
  const auto must_fail = [](const test::Ran& ran, const std::string& what) {
    INFO(what << ": " << ran.status << ' ' << ran.err);
    CHECK(ran.status > 0);
    CHECK(ended_by_itself(ran));
    CHECK(one_error(ran));
    CHECK(contains(ran.err, ": error: can't write to standard output: File too large"));
  };
  for (const auto& tool : tools())
    for (const char* option : {"--help", "--version"})
      must_fail(test::run({tool, option}, f.options), tool + ' ' + option);
  must_fail(f.ch_run({"--explain", f.image, "--", "true"}), "--explain");
  // Nobody sees an error that can't be written, but there is the status.
  print_to_file(2);
  for (const auto& tool : tools()) {
    INFO(tool);
    CHECK(test::run({tool, "--no-such-option"}, f.options).status == 64);
  }
}

TEST_CASE("under small limits a launch works, or ends with one error", "[tool]") {
  STATIC_TOOLS_ONLY();
  test::ChRun f;
  int what = 0;
  rlim_t value = 0;
  bool works = true;
  std::string command = "/bin/true";
  int status = 0;
  SECTION("32 KiB of stack") { what = RLIMIT_STACK, value = 32 * 1024; }
  SECTION("16 KiB of stack") {
    what = RLIMIT_STACK, value = 16 * 1024;
    // With 8 the kernel kills any program, in one start of some. The command may need more than
    // 16; that ch-run gets as far as executing it shows in 49.
    command = "/nowhere", status = 49;
  }
  SECTION("33 MB of address space") { what = RLIMIT_AS, value = rlim_t{33000} * 1024; }
  SECTION("9 MB of address space") { what = RLIMIT_AS, value = rlim_t{9000} * 1024; }
  SECTION("16 descriptors") { what = RLIMIT_NOFILE, value = 16, works = false; }
  f.options.in_child = [=] { limit(what, value); };
  const std::vector<std::vector<std::string>> launches{
      {}, {"--assembly=classic"}, {"-W"}, {"-b", f.home + ":/new/one"}, {"--namespaces=pid"}};
  for (auto words : launches) {
    INFO((words.empty() ? "" : words[0]));
    words.insert(words.end(), {f.image, "--", command});
    const auto ran = f.ch_run(words);
    INFO(ran.status << ' ' << ran.err);
    if (works)
      CHECK(ran.status == status);
    else
      CHECK((ran.status == 0 || (ended_by_itself(ran) && one_error(ran))));
    words.insert(words.begin(), "--explain=shell");
    CHECK(f.ch_run(words).status == 0);
  }
}

TEST_CASE("files that do not fit the given storage are read as well", "[tool]") {
  test::ChRun f;
  std::vector<std::string> options;
  for (int i = 0; i < 12; ++i) {
    const std::string name = f.dir / ("variables" + std::to_string(i));
    test::write_file(name, "V" + std::to_string(i) + "=" + std::to_string(i) + "\n");
    options.push_back("--set-env=" + name);
  }
  const auto ran = f.script("echo $V0 $V1 $V5 $V11", options);
  INFO(ran.err);
  CHECK(ran.out == "0 1 5 11\n");
}
