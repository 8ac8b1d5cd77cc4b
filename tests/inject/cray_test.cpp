// SPDX-License-Identifier: Apache-2.0
//
// ch-fromhost on a Cray: what the two kinds of systems, and Cray's two fabrics, add to an
// image. The Cray is simulated in the test's own mount namespace, by /etc/opt.

#include <sched.h>
#include <sys/mount.h>

#include "ch/inject/libfabric.hpp"
#include "tests/inject/host_image.hpp"

using test::contains;
using test::FromHost;
using test::inject_fixture;
using test::Ran;
namespace fs = std::filesystem;

namespace {

/// Makes this process believe that it is on a Cray, with Slingshot or an older fabric.
void be_on_a_cray(ch::injection::Cray kind) {
  const auto put = [](const char* path, const std::string& text) {
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (write(fd, text.data(), text.size()) < 0) _exit(97);
    close(fd);
  };
  const std::string uid = std::to_string(geteuid());
  const std::string gid = std::to_string(getegid());
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) _exit(98);
  put("/proc/self/setgroups", "deny");
  put("/proc/self/uid_map", uid + " " + uid + " 1");
  put("/proc/self/gid_map", gid + " " + gid + " 1");
  if (mount("tmpfs", "/etc/opt", "tmpfs", 0, nullptr) != 0) _exit(99);
  fs::create_directories("/etc/opt/cray/release");
  const char* release = "/etc/opt/cray/release/cle-release";
  if (kind == ch::injection::Cray::slingshot)
    fs::create_symlink("/etc/cray-release/cos", release);
  else
    test::write_file(release, "RELEASE=7.0.UP03\n");
}

/// An image with a libfabric, and the Cray that it is on.
struct OnCray : FromHost {
  fs::path fabric = image / "opt/ofi/lib";
  std::map<std::string, std::string> before;

  explicit OnCray(ch::injection::Cray kind) {
    fs::create_directories(fabric);
    fs::copy_file(inject_fixture("image/libfabric.so.1.2.3"), fabric / "libfabric.so");
    before = test::everything(image);
    options.in_child = [kind] { be_on_a_cray(kind); };
  }
  void expect_directories(const std::vector<std::string>& wanted, const Ran& ran) const {
    for (const std::string& path : wanted) {
      CAPTURE(path);
      CHECK(fs::is_directory(image / path.substr(1)));
      CHECK(contains(ran.out, "mkdir " + path + " (mount point for Cray's software)"));
    }
  }
  /// Nothing is left, not even the mount points.
  void expect_removal() const {
    CHECK((*this)({"--remove"}).status == 0);
    const auto after = test::everything(image);
    INFO(test::difference(before, after));
    CHECK(before == after);
  }
};

bool has_etc_opt() { return fs::is_directory("/etc/opt"); }

}  // namespace

TEST_CASE("on a Cray with Slingshot its libfabric comes with mount points and what it needs",
          "[inject][tool]") {
  SKIP_UNLESS(has_etc_opt(), "this host has no /etc/opt");
  const std::string cray = inject_fixture("opt/cray/libfabric.so");
  for (const char* option : {"--cray-mpi-cxi", "--cray-cxi", "--path"}) {
    OnCray f(ch::injection::Cray::slingshot);
    f.options.environment.push_back("CH_FROMHOST_OFI_CXI=" + cray);
    std::vector<std::string> words = {"-v", option};
    if (words[1] == "--path") words.push_back(cray);
    const Ran ran = f(words);
    CAPTURE(option, ran.out, ran.err);
    REQUIRE(ran.status == 0);
    f.expect_directories({"/var/lib/hugetlbfs", "/var/spool/slurmd"}, ran);
    CHECK_FALSE(fs::exists(f.image / "opt/cray"));
    CHECK(test::read_file(f.fabric / "libfabric.so") == test::read_file(cray));
    CHECK(test::read_file(f.image / "usr/local/lib/libcxi.so.1") ==
          test::read_file(inject_fixture("opt/cray/libcxi.so.1")));
    CHECK(contains(ran.out, "needed by " + cray));
    CHECK(test::read_file(f.image / "etc/ld.so.conf.d/ch-ofi.conf") ==
          inject_fixture("opt/cray").string() + "\n");
    CHECK(contains(f(words).out, "nothing to do"));
    f.expect_removal();
  }
}

TEST_CASE("on a Cray with Gemini or Aries a provider comes with their mount points",
          "[inject][tool]") {
  SKIP_UNLESS(has_etc_opt(), "this host has no /etc/opt");
  const std::string provider = inject_fixture("lib/libgnix-fi.so");
  for (const char* option : {"--cray-mpi-gni", "--cray-gni", "--path"}) {
    OnCray f(ch::injection::Cray::ugni);
    f.options.environment.push_back("CH_FROMHOST_OFI_GNI=" + provider);
    std::vector<std::string> words = {"-v", option};
    if (words[1] == "--path") words.push_back(provider);
    const Ran ran = f(words);
    CAPTURE(option, ran.out, ran.err);
    REQUIRE(ran.status == 0);
    f.expect_directories({"/var/lib/hugetlbfs", "/var/opt/cray/alps/spool", "/opt/cray/wlm_detect",
                          "/etc/opt/cray/wlm_detect", "/opt/cray/udreg", "/opt/cray/xpmem",
                          "/opt/cray/ugni", "/opt/cray/alps"},
                         ran);
    CHECK_FALSE(fs::exists(f.image / "var/spool/slurmd"));
    CHECK(test::read_file(f.fabric / "libfabric/libgnix-fi.so") == test::read_file(provider));
    // Its libraries stay on the host, to be bound.
    CHECK(test::read_file(f.image / "etc/ld.so.conf.d/ch-ofi.conf") ==
          inject_fixture("opt/cray/alpslli/lib64").string() + "\n" +
              inject_fixture("opt/cray/ugni/lib64").string() + "\n");
    CHECK_FALSE(fs::exists(f.image / "usr/local/lib/libugni.so.0"));
    CHECK(contains(f(words).out, "nothing to do"));
    f.expect_removal();
  }
}

TEST_CASE("a provider's libraries are found where LD_LIBRARY_PATH of a Cray's modules says",
          "[inject][tool]") {
  SKIP_UNLESS(has_etc_opt(), "this host has no /etc/opt");
  OnCray f(ch::injection::Cray::ugni);
  const fs::path module = f.dir / "opt/cray/pe/lib64";
  fs::create_directories(module);
  for (const char* name : {"ugni", "alpslli"}) {
    const std::string file = std::string("lib") + name + ".so.0";
    fs::copy_file(inject_fixture(std::string("opt/cray/") + name + "/lib64/" + file),
                  module / file);
  }
  f.options.environment.push_back("LD_LIBRARY_PATH=" + module.string());
  REQUIRE(f({"-p", inject_fixture("lib/libgnix-fi.so")}).status == 0);
  CHECK(test::read_file(f.image / "etc/ld.so.conf.d/ch-ofi.conf") == module.string() + "\n");
}

TEST_CASE("a Cray's mount points come with a fabric only", "[inject][tool]") {
  SKIP_UNLESS(has_etc_opt(), "this host has no /etc/opt");
  for (const auto kind : {ch::injection::Cray::slingshot, ch::injection::Cray::ugni}) {
    const OnCray f(kind);
    const Ran ran = f({"-v", "-p", inject_fixture("lib/libcharlie_answer.so.1.0")});
    CAPTURE(ran.err);
    CHECK(ran.status == 0);
    CHECK_FALSE(contains(ran.out, "mount point"));
    CHECK_FALSE(fs::exists(f.image / "var/lib/hugetlbfs"));
  }
}
