// SPDX-License-Identifier: Apache-2.0
//
// The stand-ins for the kernel: recording, timing, narrating.

#include <catch2/catch.hpp>
#include <string>

#include "ch/kernel/mount.hpp"
#include "ch/kernel/narrating.hpp"
#include "ch/kernel/process.hpp"
#include "ch/kernel/recording.hpp"
#include "ch/kernel/timing.hpp"
#include "ch/kernel/fd.hpp"

using namespace ch::kernel;

TEST_CASE("the recording kernel keeps one ordered trace", "[recorded]") {
  Recording<> k;
  const auto fd = openat(k, Fd::cwd, "/etc/hosts", o_rdonly);
  REQUIRE(fd.ok());
  CHECK(write(k, fd.value(), "ab\n", 3).value() == 3);
  CHECK(k.open_descriptors() == 1);
  CHECK(close(k, fd.value()).ok());
  CHECK(k.open_descriptors() == 0);
  REQUIRE(k.size() == 3);
  CHECK(std::string(k.trace()[0].text) == "openat(cwd, \"/etc/hosts\", 0x80000, 0) = 3");
  CHECK(std::string(k.trace()[1].text) == "write(3, \"ab\\n\", 3) = 3");
  CHECK(std::string(k.trace()[2].text) == "close(3) = 0");
}

TEST_CASE("the recording kernel makes the call that a test names fail, once", "[recorded]") {
  Recording<> k;
  k.fail_at(1, Errno::enospc);
  CHECK(unshare(k, clone_newuser).ok());
  CHECK(unshare(k, clone_newns).error() == Errno::enospc);
  CHECK(unshare(k, clone_newns).ok());
  CHECK(std::string(k.trace()[1].text) == "unshare(0x20000) = error 28");
}

TEST_CASE("the recording kernel can lack a call", "[recorded]") {
  Recording<> k;
  k.hide(Call::openat2);
  CHECK(openat2(k, Fd::cwd, "/", {}).error() == Errno::enosys);
  CHECK(openat2(k, Fd::cwd, "/", {}).error() == Errno::enosys);
}

TEST_CASE("the recording kernel refuses to close what is not open", "[recorded]") {
  Recording<> k;
  CHECK(close(k, static_cast<Fd>(3)).error() == Errno::ebadf);
}

TEST_CASE("the narrating kernel reports each call and passes it on", "[pure]") {
  Linux real;
  std::string told;
  Narrating k(real, [&](std::string_view line) { told += line; });
  const auto fd = openat(k, Fd::cwd, "/dev/null", o_rdonly);
  REQUIRE(fd.ok());
  (void)close(k, fd.value());
  const std::string number = std::to_string(static_cast<int>(fd.value()));
  CHECK(told == "openat(cwd, \"/dev/null\", 0x80000, 0) = " + number + "\nclose(" + number +
                    ") = 0\n");
  told.clear();
  CHECK(openat(k, Fd::cwd, "/nowhere", o_rdonly).error() == Errno::enoent);
  CHECK(told == "openat(cwd, \"/nowhere\", 0x80000, 0) = error 2\n");
}

TEST_CASE("the timing kernel notes kind and duration", "[pure]") {
  Linux real;
  Timing k(real);
  (void)getpid(k);
  (void)getppid(k);
  REQUIRE(k.size() == 2);
  CHECK(k[0].call == Call::getpid);
  CHECK(k[1].call == Call::getppid);
  CHECK(k[1].nanoseconds > 0);
  CHECK(k.total() == k[0].nanoseconds + k[1].nanoseconds);
}

TEST_CASE("every call of the table has a shape of its arity", "[pure]") {
  for (const CallShape& row : call_shapes) {
    INFO(row.name);
    CHECK(std::string(row.arguments).size() <= 6);
    CHECK(std::string("din").find(row.result) != std::string::npos);
    CHECK(std::string(shape(row.call).name) == row.name);
  }
}
