// SPDX-License-Identifier: Apache-2.0
//
// The completions of ch-run in the shells they are for: what does one press of the tab
// key offer? The same for all three, but for how each of them writes it.

#include "tests/support/completion.hpp"
#include "apps/ch-run/option_table.hpp"

#ifndef CHARLIE_CH_RUN
#define CHARLIE_CH_RUN "ch-run"
#endif

namespace {

using test::fs::path;

path share() { return test::share_beside(CHARLIE_CH_RUN); }

/// In a directory with an image "hello", a file "job.env" and a directory "my dir".
const test::CompletionCase cases[] = {
    {"ch-run --bi", {"--bind"}},
    {"ch-run --no-p", {"--no-passwd"}},
    {"ch-run hello --over", {"--overlay"}},
    {"ch-run --explain=", {"text", "json", "shell"}},
    {"ch-run --explain=j", {"json"}},
    {"ch-run --color=", {"auto", "always", "never"}},
    {"ch-run --assembly cl", {"classic"}},
    {"ch-run --feature=", {"extglob", "overlayfs", "seccomp", "squash", "tmpfs-xattrs"}},
    {"ch-run --namespaces u", {"uts"}},
    {"ch-run --namespaces=pid,net,u", {"uts"}},
    {"ch-run --namespaces pid,c", {"cgroup"}},
    // Of the host: directories, and files where a file will do.
    {"ch-run he", {"hello"}},
    {"ch-run my", {"my dir"}},
    {"ch-run jo", {}},
    {"ch-run -w --uid 0 -- he", {"hello"}},
    {"ch-run --overlay he", {"hello"}},
    {"ch-run --overlay jo", {}},
    {"ch-run --set-env=jo", {"job.env"}},
    {"ch-run -b jo", {"job.env"}},
    {"ch-run --bind=he", {"hello"}},
    {"ch-run -vwb he", {"hello"}},
    {"ch-run -b hello:/mnt:r", {"ro", "rw"}},
    // Of the image.
    {"ch-run hello -b job.env:/only", {"onlyinside"}},
    {"ch-run hello -c /only", {"onlyinside"}},
    {"ch-run hello --cd=/only", {"onlyinside"}},
    {"ch-run hello sol", {"solve"}},
    {"ch-run hello -- sol", {"solve"}},
    {"ch-run -w -u 0 -b job.env hello -c / -- sol", {"solve"}},
    {"ch-run hello -- readl", {"readlink"}},
    {"ch-run hello -- notes", {}},
    {"ch-run hello -- /only", {"onlyinside"}},
    {"ch-run hello -- solve jo", {"job.env"}},
    // Behind "--", options are the command's.
    {"ch-run hello -- solve --wr", {}},
    {"ch-run hello --wr", {"--write", "--write-fake"}},
};

struct Fixture : test::CompletionPlace {
  Fixture() {
    test::make_image(dir / "hello");
    test::fs::create_directories(dir / "hello/onlyinside");
    test::write_file(dir / "job.env", "");
    test::write_file(dir / "hello/bin/notes", "");
    test::write_file(dir / "hello/bin/solve", "");
    test::fs::permissions(dir / "hello/bin/solve", test::fs::perms(0755));
  }
};

}  // namespace

TEST_CASE("bash completes ch-run", "[tool]") {
  SKIP_UNLESS(test::have_shell("bash"), "bash is not installed");
  test::check_completion("bash", "ch-run", share(), cases, ch_run::table, Fixture());
}

TEST_CASE("zsh completes ch-run", "[tool]") {
  SKIP_UNLESS(test::have_shell("zsh"), "zsh is not installed");
  test::check_completion("zsh", "ch-run", share(), cases, ch_run::table, Fixture());
}

TEST_CASE("fish completes ch-run", "[tool]") {
  SKIP_UNLESS(test::have_shell("fish"), "fish is not installed");
  test::check_completion("fish", "ch-run", share(), cases, ch_run::table, Fixture());
}

TEST_CASE("typing can go on after a completion of bash", "[tool]") {
  const Fixture f;
  SKIP_UNLESS(test::run({"bash", "--version"}).status == 0, "bash is not installed");
  const std::pair<const char*, const char*> exact[] = {
      {"ch-run --explain=j", "json\n"},
      {"ch-run --bi", "--bind=\n"},
      {"ch-run --namespaces=pid,u", "pid,uts\n"},
      {"ch-run hello -b job.env:/only", "/onlyinside/\n"},
      {"ch-run hello -- /only", "/onlyinside/\n"},
      {"ch-run hello -c ",
       "/bin/\n/dev/\n/etc/\n/home/\n/mnt/\n/onlyinside/\n/proc/\n/sys/\n/tmp/\n"},
  };
  for (const auto& [line, offers] : exact) {
    INFO(line);
    CHECK(test::bash_offers("ch-run", share(), line, f.options) == offers);
  }
}
