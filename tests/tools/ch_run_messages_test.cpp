// SPDX-License-Identifier: Apache-2.0
//
// An error names its actual cause, and what helps against it.

#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "tests/support/ch_run.hpp"

using test::contains;

TEST_CASE("what is missing beneath a mount is reported as missing there, not in the image",
          "[tool]") {
  const test::ChRun f;
  const std::string source = f.home;
  const auto check = [&](const std::string& place, std::vector<std::string> options) {
    options.insert(options.begin(), {"-b", source + ":/mnt/0"});
    const auto ran = f.script("true", options);
    INFO(place << ": " << ran.err);
    CHECK(ran.status == 31);
    CHECK(contains(ran.err, ' ' + place + ": Invalid cross-device link (EXDEV)"));
    CHECK(contains(ran.err, "cause: the path is in something mounted earlier"));
    CHECK(contains(ran.err, "remedy: create it there yourself, or choose another place"));
  };
  for (const std::string place :
       {"/tmp/charlie-not-there", "/dev/not-there", "/sys/not-there", "/mnt/0/not/there"}) {
    for (const char* image : {"--home", "-w", "-W"}) {  // the first is the default
      check(place, {image, "-b", source + ':' + place});
      // Links come before binds, so one there is the image's own, and hidden.
      if (place.rfind("/mnt/0", 0) != 0) check(place, {image, "--symlink=x:" + place});
    }
  }
  check("/dev/null", {"--symlink=x:/dev/null"});  // is there, and no link
}

TEST_CASE("for a bad line of the image's own environment, the remedy is to mend the image",
          "[tool]") {
  const test::ChRun f;
  test::fs::create_directory(f.image + "/ch");
  test::write_file(f.image + "/ch/environment", "A=1\nnonsense\n");
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{}, {"--no-image-env", "--set-env"}}) {
    const auto ran = f.script("true", options);
    INFO(ran.err);
    CHECK(ran.status == 31);
    CHECK(contains(ran.err, "no delimiter: /ch/environment:2"));
    CHECK(contains(ran.err,
                   "remedy: correct that file of the image, or leave it out with "
                   "--no-image-env"));
  }
}

TEST_CASE("what follows the command belongs to it, with or without --", "[tool]") {
  const test::ChRun f;
  for (const auto& before : {std::vector<std::string>{f.image}, {f.image, "--"}}) {
    auto words = before;
    words.insert(words.end(), {"echo", "-W", "--help", "--", "--colour"});
    const auto ran = f.ch_run(words);
    INFO(ran.err);
    CHECK(ran.status == 0);
    CHECK(ran.out == "-W --help -- --colour\n");
  }
  // Between image and command they are ours.
  CHECK(contains(f.ch_run({f.image, "--version"}).out, "ch-run 0."));
  const auto unknown = f.ch_run({f.image, "--colour", "ls"});
  CHECK(unknown.status == 64);
  CHECK(contains(unknown.err, "remedy: see ch-run --help"));
}

TEST_CASE("a variable that can't be set is a usage error, however it is given", "[tool]") {
  const test::ChRun f;
  const std::string file = f.dir / "variables";
  test::write_file(file, "nonsense\n");
  for (const std::string& argument : {std::string(), std::string("=x"), file})
    for (const char* option : {"--set-env=", "--set-env0="}) {
      const auto ran = f.script("true", {option + argument});
      INFO(option << argument << ": " << ran.err);
      CHECK(ran.status == 64);
    }
}

TEST_CASE("an endless file is an error that names the limit", "[tool]") {
  const test::ChRun f;
  for (const char* option :
       {"--set-env=/dev/zero", "--set-env0=/dev/zero", "--copy=/dev/zero:/x"}) {
    const auto ran = f.script("true", {option});
    INFO(option << ": " << ran.err);
    CHECK(ran.status == 31);
    CHECK(contains(ran.err,
                   "/dev/zero: this is longer than 67108864 bytes, the most that is read "
                   "of such a file"));
  }
  auto options = f.options;
  options.environment.push_back("CH_RUN_CONF=/dev/zero");
  const auto ran = test::run({test::ch_run_path(), f.image, "--", "true"}, options);
  CHECK(contains(ran.err, "the configuration /dev/zero: this is longer than"));
}

TEST_CASE("--join-pid refuses options that would change the container it enters", "[tool]") {
  const test::ChRun f;
  const pid_t other = fork();
  REQUIRE(other >= 0);
  if (other == 0) {
    execl(test::ch_run_path().c_str(), "ch-run", f.image.c_str(), "--", "sleep", "1000", nullptr);
    _exit(127);
  }
  const std::string join = "--join-pid=" + std::to_string(other);
  for (const std::vector<std::string>& options : {std::vector<std::string>{"-b", f.home},
                                                  {"-w"},
                                                  {"-W"},
                                                  {"-u0"},
                                                  {"-g0"},
                                                  {"--hostname=x"},
                                                  {"--namespaces=pid"},
                                                  {"--overlay=" + f.home},
                                                  {"-t"},
                                                  {"--no-passwd"},
                                                  {"--symlink=a:/b"},
                                                  {"--copy=/etc/passwd:/b"},
                                                  {"--device=x.y/z=0"}}) {
    auto all = options;
    all.push_back(join);
    const auto ran = f.script("true", all);
    INFO(options.front() << ": " << ran.err);
    CHECK(ran.status == 64);
    CHECK(contains(ran.err, "--join-pid enters a container as it is"));
  }
  // What a site has configured for all containers was not requested for this one.
  test::write_file(f.dir / "conf", "bind=" + f.home + ":/mnt/0\n");
  auto configured = f.options;
  configured.environment.push_back("CH_RUN_CONF=" + (f.dir / "conf").string());
  test::Ran ran;
  for (int i = 0; i < 100; ++i) {  // until it is in its container
    ran = test::run(
        {test::ch_run_path(), join, "--set-env=A=b", f.image, "--", "sh", "-c", "echo $A"},
        configured);
    if (ran.status == 0) break;
    usleep(20000);
  }
  INFO(ran.err);
  CHECK(ran.out == "b\n");
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
}

TEST_CASE("--ch-ssh without that program says where it should be", "[tool]") {
  const test::ChRun f;
  const auto ran = f.script("true", {"--ch-ssh"});
  INFO(ran.err);
  CHECK(ran.status == 31);
  CHECK(contains(ran.err, "can't bind ch-ssh, expected at /"));
  CHECK(contains(ran.err, "/ch-ssh: No such file or directory"));
  CHECK(contains(ran.err, "remedy: install it there, beside ch-run, or leave out --ch-ssh"));
}
