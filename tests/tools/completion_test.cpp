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

using test::Offers;
using test::fs::path;

path share() { return test::share_beside(CHARLIE_CH_RUN); }

struct Case {
  const char* line;
  Offers offers;
};

/// In a directory with an image "hello", a file "job.env" and a directory "my dir".
const Case cases[] = {
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

struct Fixture {
  test::TempDir dir;
  test::RunOptions options;

  Fixture() {
    test::make_image(dir / "hello");
    test::fs::create_directories(dir / "hello/onlyinside");
    test::fs::create_directory(dir / "my dir");
    test::fs::create_directory(dir / "home");
    test::write_file(dir / "job.env", "");
    test::write_file(dir / "hello/bin/notes", "");
    test::write_file(dir / "hello/bin/solve", "");
    test::fs::permissions(dir / "hello/bin/solve", test::fs::perms(0755));
    options.directory = dir.path();
    options.environment = {"PATH=/usr/bin:/bin", "HOME=" + (dir / "home").string(),
                           "LC_ALL=C.UTF-8", "TERM=dumb"};
  }
};

template <class Complete>
void check_all(Complete complete) {
  for (const Case& c : cases) {
    INFO(c.line);
    CHECK(complete(c.line) == c.offers);
  }
  const Offers all = complete("ch-run --");
  for (const auto& option : ch_run::table) {
    const std::string name = std::string("--") + option.name;
    INFO(name);
    if (option.help[0] != '\0') CHECK(all.count(name) == 1);
  }
}

}  // namespace

TEST_CASE("bash completes ch-run", "[tool]") {
  const Fixture f;
  SKIP_UNLESS(test::run({"bash", "--version"}).status == 0, "bash is not installed");
  check_all([&](const std::string& line) {
    return test::normal(test::bash_offers("ch-run", share(), line, f.options));
  });
}

TEST_CASE("what bash has completed can be typed on", "[tool]") {
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

TEST_CASE("zsh completes ch-run", "[tool]") {
  const Fixture f;
  SKIP_UNLESS(test::run({"zsh", "--version"}).status == 0, "zsh is not installed");
  std::vector<std::string> lines = {"ch-run --"};
  for (const Case& c : cases) lines.emplace_back(c.line);
  const auto offers = test::zsh_offers("ch-run", share(), lines, f.dir / "home", f.options);
  check_all([&](const std::string& line) { return offers.at(line); });
}

TEST_CASE("fish completes ch-run", "[tool]") {
  const Fixture f;
  SKIP_UNLESS(test::run({"fish", "--version"}).status == 0, "fish is not installed");
  check_all([&](const std::string& line) {
    return test::fish_offers("ch-run", share(), line, f.options);
  });
}
