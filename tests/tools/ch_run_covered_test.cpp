// SPDX-License-Identifier: Apache-2.0
//
// Mounts that hide the user's files cause a warning; what does not fit is an error, and never
// truncated.

#include "tests/support/ch_run.hpp"

using test::contains;

TEST_CASE("a bind that covers an earlier bind, home or /tmp is named with what it covers",
          "[tool]") {
  test::ChRun f;
  const std::string a = f.dir / "a";
  const std::string b = f.dir / "b";
  for (const auto& d : {a, b}) test::fs::create_directories(d + "/0");
  const auto said = [&](const std::vector<std::string>& options) {
    const auto ran = f.script("true", options);
    INFO(ran.err);
    CHECK(ran.status == 0);
    const auto quiet = [&] {
      auto more = options;
      more.push_back("-q");
      return f.script("true", more);
    }();
    CHECK(quiet.err.empty());
    return ran.err;
  };
  const std::string user = test::user_name();
  CHECK(
      contains(said({"-b", a + ":/mnt/0", "-b", b + ":/mnt//0/"}),
               "the bind of " + b + " at /mnt//0/ covers the earlier one of " + a + " at /mnt/0"));
  CHECK(contains(said({"-b", a + ":/mnt/0", "-b", b + ":/mnt"}),
                 "the bind of " + b + " at /mnt covers the earlier one of " + a + " at /mnt/0"));
  CHECK(contains(said({"-b", a + ":/tmp"}), "the bind of " + a + " at /tmp covers /tmp"));
  CHECK(contains(said({"-b", a + ":/tmp", "--private-tmp"}), "covers /tmp"));
  CHECK(contains(said({"-b", a + ":/home"}),
                 "the bind of " + a + " at /home covers your home directory at /home/" + user));
  // Below, beside, the same again, or nothing there: nothing is hidden.
  CHECK(said({"-b", a + ":/mnt/0", "-b", b + ":/mnt/0/0"}).empty());
  CHECK(said({"-b", a + ":/mnt/0", "-b", b + ":/mnt/01"}).empty());
  CHECK(said({"-b", a + ":/mnt/0", "-b", a + ":/mnt/0"}).empty());
  CHECK(said({"-b", a + ":/home", "--no-home"}).empty());
}

TEST_CASE("files that do not fit the container's memory are an error", "[tool]") {
  test::ChRun f;
  const std::string large = f.dir / "large";
  test::write_file(large, std::string(200000, 'x'));
  const auto ran = f.script("true", {"--write-fake=64k", "--copy=" + large + ":/mnt/large"});
  INFO(ran.err);
  CHECK(ran.status == 31);
  CHECK(contains(ran.err, "does not fit in its tmpfs"));
  CHECK(contains(ran.err, "give --write-fake a larger size"));
  const auto inside = f.script("yes > /etc/much; test $? != 0 && echo full",
                               {"--write-fake=64k", "--no-passwd", "--no-home"});
  INFO(inside.err);
  CHECK(inside.out == "full\n");
}
