// SPDX-License-Identifier: Apache-2.0
//
// One directory of --overlay is one container's at a time, whoever comes how often.

#include <csignal>

#include "tests/support/ch_run.hpp"

using test::contains;

TEST_CASE("an overlay's directory that a container uses is refused to all others", "[tool]") {
  test::ChRun f;
  const std::string layer = f.dir / "layer";
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  const pid_t user = fork();
  REQUIRE(user >= 0);
  if (user == 0) {
    dup2(pipe_ends[1], 1);
    const std::string option = "--overlay=" + layer;
    execl(test::ch_run_path().c_str(), "ch-run", "--no-home", option.c_str(), f.image.c_str(), "--",
          "sh", "-c", "echo ready; exec sleep 1000", nullptr);
    _exit(127);
  }
  char c = 0;
  REQUIRE(read(pipe_ends[0], &c, 1) == 1);
  for (int i = 0; i < 4; ++i) {
    const auto ran = f.script("touch /etc/lost", {"--no-home", "--overlay=" + layer});
    INFO(ran.err);
    CHECK(ran.status == 31);
    CHECK(contains(ran.err, "another container uses this directory"));
  }
  kill(user, SIGKILL);
  REQUIRE(waitpid(user, nullptr, 0) == user);
  CHECK(f.script("touch /etc/kept", {"--no-home", "--overlay=" + layer}).status == 0);
  CHECK(test::fs::exists(layer + "/upper/etc/kept"));
  CHECK_FALSE(test::fs::exists(layer + "/upper/etc/lost"));
}
