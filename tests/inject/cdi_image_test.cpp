// SPDX-License-Identifier: Apache-2.0
//
// ch-fromhost --cdi: a device's files in an image, until they are removed.

#include "tests/inject/host_image.hpp"

using test::contains;
using test::FromHost;
using test::Ran;
namespace fs = std::filesystem;

namespace {

/// An image, a dummy driver, and its description.
struct Fixture : FromHost {
  fs::path cdi = dir / "cdi";

  explicit Fixture(const std::string& more = "") {
    fs::create_directory(cdi);
    fs::create_directory(dir / "driver");
    for (const char* name : {"libmade.so.550.54.14", "libother.so.550.54.14", "made-smi"})
      fs::copy_file(fs::path(CHARLIE_MADE_DRIVER) / name, dir / "driver" / name);
    test::write_file(dir / "driver/made.json", "{}");
    const auto mount = [this](const std::string& name, const std::string& to) {
      return R"({"hostPath": ")" + (dir / ("driver/" + name)).string() +
             R"(", "containerPath": ")" + to + "/" + name + R"(", "options": ["ro"]})";
    };
    test::write_file(cdi / "made.json", R"({"cdiVersion": "0.5.0", "kind": "made.com/gpu",
      "devices": [{"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/null"}]}}],
      "containerEdits": {"env": ["NVIDIA_VISIBLE_DEVICES=void"], "hooks": [
        {"hookName": "createContainer", "path": "/usr/bin/nvidia-cdi-hook", "args": ["nvidia-cdi-hook",
         "create-symlinks", "--link", "libmade.so.1::/usr/lib/made-gnu/libmade.so", "--link",
         "../libother.so.1::/usr/lib/made-gnu/gbm/made-drm_gbm.so"]},
        {"hookName": "createContainer", "path": "/usr/bin/nvidia-cdi-hook", "args": ["nvidia-cdi-hook",
         "update-ldcache", "--folder", "/usr/lib/made-gnu"]}],
      "mounts": [)" + mount("libmade.so.550.54.14", "/usr/lib/made-gnu") +
                                            ", " +
                                            mount("libother.so.550.54.14", "/usr/lib/made-gnu") +
                                            ", " + mount("made-smi", "/usr/bin") + ", " +
                                            mount("made.json", "/etc/made/icd.d") + more + "]}}");
  }
};

}  // namespace

TEST_CASE("the files of a device are injected, found and run, and can be removed", "[tool]") {
  const Fixture f;
  const auto before = test::everything(f.image);
  for (const char* which : {"--cdi", "--cdi=made.com/gpu", "--cdi=made.com/gpu=0"}) {
    const Ran ran = f({"--cdi-dirs", f.cdi, which});
    CAPTURE(which, ran.out, ran.err);
    REQUIRE(ran.status == 0);
    CHECK(ran.err.empty());
    const Ran asked = f.inside({"made-smi", "libmade.so.1", "libmade.so", "libother.so.1",
                                "/usr/lib/made-gnu/gbm/made-drm_gbm.so"});
    CAPTURE(asked.err);
    CHECK(asked.out ==
          "libmade.so.1 550\nlibmade.so 550\nlibother.so.1 550\n"
          "/usr/lib/made-gnu/gbm/made-drm_gbm.so 550\n");
    CHECK(test::read_file(f.image / "etc/made/icd.d/made.json") == "{}");
    CHECK(f({"--cdi-dirs", f.cdi, which}).out ==
          "nothing to do: all of it is in the image already\ndone\n");
    CHECK(f({"--remove"}).status == 0);
    const auto after = test::everything(f.image);
    INFO(test::difference(before, after));
    CHECK(before == after);
  }
}

TEST_CASE("a device that is not described changes nothing", "[tool]") {
  const Fixture f;
  const auto before = test::everything(f.image, true);
  for (const char* which : {"--cdi=nvidia.com/gpu", "--cdi=made.com/gpu=1", "--cdi=x"}) {
    const Ran ran = f({"--cdi-dirs", f.cdi, which});
    CAPTURE(which, ran.err);
    CHECK(ran.status == 1);
    CHECK(contains(ran.err, "ch-fromhost: error: "));
    CHECK(contains(ran.err, "ch-fromhost: remedy: "));
  }
  CHECK(before == test::everything(f.image, true));
}

TEST_CASE("--cdi on a host where nothing is described is one error with its remedy", "[tool]") {
  const Fixture f;
  const auto before = test::everything(f.image, true);
  const std::string nowhere = f.dir / "nowhere";
  const Ran none = f({"--cdi-dirs", nowhere, "--cdi"});
  CHECK(none.status == 1);
  CHECK(none.out.empty());
  CHECK(none.err == "ch-fromhost: error: no device is described in " + nowhere +
                        "\nch-fromhost: remedy: make one with the driver's tool, e.g. "
                        "nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml, or say where it "
                        "is (--cdi-dirs)\n");
  fs::create_directory(nowhere);
  test::write_file(nowhere + "/bad.json", "{");
  const Ran bad = f({"--cdi-dirs", nowhere, "--cdi"});
  CHECK(bad.status == 1);
  CHECK(contains(bad.err, "error: no device is described in " + nowhere +
                              "; not usable: " + nowhere + "/bad.json: this is not JSON"));
  CHECK(contains(bad.err, "\nch-fromhost: remedy: make the file again"));
  CHECK(before == test::everything(f.image, true));
}

TEST_CASE("parts of a device that can't be in an image cause a warning", "[tool]") {
  const Fixture f(R"(, {"hostPath": "/etc", "containerPath": "/opt/etc"})");
  const Ran ran = f({"--cdi-dirs", f.cdi, "--cdi=made.com/gpu", "--dry-run"});
  CAPTURE(ran.out, ran.err);
  CHECK(ran.status == 0);
  CHECK(contains(ran.err, "warning: /etc is left out: it is not a regular file"));
  CHECK(contains(ran.out, "would run ldconfig"));
}
