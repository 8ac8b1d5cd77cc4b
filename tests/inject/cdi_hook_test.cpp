// SPDX-License-Identifier: Apache-2.0
//
// Hooks of a device's description that concern the loader, in an image with glibc; and
// where ch-run finds the program that reads such descriptions.

#include "tests/inject/host_image.hpp"

using test::contains;
using test::FromHost;
using test::Ran;
namespace fs = std::filesystem;

namespace {

fs::path made(const std::string& name) { return fs::path(CHARLIE_MADE_DRIVER) / name; }

/// A device with CUDA's library of version 550, and a program that loads it by its soname.
struct Cuda : FromHost {
  std::string cdi = dir / "cdi";
  fs::path compat = image / "usr/local/cuda/compat";

  Cuda() {
    fs::create_directory(cdi);
    fs::create_directories(compat);
    fs::create_directories(image / "usr/lib/made-gnu");
  }
  void describe(const std::string& hooks) const {
    const auto mount = [](const std::string& name, const std::string& to) {
      return R"({"hostPath": ")" + made(name).string() + R"(", "containerPath": ")" + to + "/" +
             name + R"(", "options": ["ro"]})";
    };
    test::write_file(cdi + "/cuda.json", R"({"cdiVersion": "0.5.0", "kind": "made.com/gpu",
      "devices": [{"name": "0"}], "containerEdits": {"hooks": [)" +
                                             hooks + R"(
        {"hookName": "createContainer", "path": "/usr/bin/nvidia-cdi-hook",
         "args": ["nvidia-cdi-hook", "update-ldcache", "--folder", "/usr/lib/made-gnu"]}],
      "mounts": [)" + mount("libcuda.so.550.54.14", "/usr/lib/made-gnu") +
                                             ", " + mount("made-smi", "/usr/bin") + "]}}");
  }
  static std::string enable_compat(const std::string& arguments) {
    return R"({"hookName": "createContainer", "path": "/usr/bin/nvidia-cdi-hook",
      "args": ["nvidia-cdi-hook", "enable-cuda-compat")" +
           arguments + "]},";
  }
  /// The version of the library that a program gets.
  [[nodiscard]] std::string loaded() const {
    const Ran ran = test::run({test::ch_run_path(), "--cdi-dirs", cdi, "--device", "made.com/gpu=0",
                               image, "--", "made-smi", "libcuda.so.1"},
                              options);
    INFO(ran.err);
    CHECK(ran.status == 0);
    CHECK(ran.err.empty());
    return ran.out;
  }
};

}  // namespace

TEST_CASE("the image's CUDA compatibility library comes first if it is newer than the driver",
          "[tool]") {
  const Cuda f;
  const fs::path newer = f.compat / "libcuda.so.560.54.14";
  fs::copy_file(made("compat/libcuda.so.560.54.14"), newer);
  fs::create_symlink(newer.filename(), f.compat / "libcuda.so.1");
  const std::string driver = "libcuda.so.1 550\n";
  const std::string compatible = "libcuda.so.1 560\n";
  const auto before = test::everything(f.image, true);

  f.describe("");
  CHECK(f.loaded() == driver);
  f.describe(Cuda::enable_compat(R"(, "--host-driver-version=550.54.14")"));
  CHECK(f.loaded() == compatible);
  f.describe(Cuda::enable_compat(R"(, "--host-driver-version", "550.54.14")"));
  CHECK(f.loaded() == compatible);
  for (const char* version : {"560.54.14", "560.10", "570.124.06", "1000.1"}) {
    f.describe(Cuda::enable_compat(R"(, "--host-driver-version=)" + std::string(version) + '"'));
    CHECK(f.loaded() == driver);
  }
  // A driver that does not say how old it is.
  f.describe(Cuda::enable_compat(""));
  CHECK(f.loaded() == driver);
  CHECK(before == test::everything(f.image, true));

  // An image that has none, or something else by that name.
  f.describe(Cuda::enable_compat(R"(, "--host-driver-version=550.54.14")"));
  fs::remove(newer);
  fs::remove(f.compat / "libcuda.so.1");
  CHECK(f.loaded() == driver);
  test::write_file(f.compat / "libcuda.so.560.54.14", "no library");
  CHECK(f.loaded() == driver);
  fs::remove_all(f.image / "usr/local/cuda");
  CHECK(f.loaded() == driver);
}

TEST_CASE("ch-run finds ch-device beside itself, else in ../libexec/charlie", "[tool]") {
  const Cuda f;
  f.describe("");
  const fs::path bin = f.dir / "install/bin";
  const fs::path libexec = f.dir / "install/libexec/charlie";
  fs::create_directories(bin);
  fs::create_directories(libexec);
  fs::copy_file(test::ch_run_path(), bin / "ch-run");
  const auto with_device = [&] {
    return test::run({bin / "ch-run", "--cdi-dirs", f.cdi, "--device", "made.com/gpu=0", f.image,
                      "--", "made-smi", "libcuda.so.1"},
                     f.options);
  };
  const Ran none = with_device();
  CAPTURE(none.err);
  CHECK(none.status == 31);
  CHECK(none.out.empty());
  CHECK(none.err.starts_with("ch-run: error: "));
  CHECK(contains(none.err, "ch-device"));
  CHECK(contains(none.err, "\nch-run: remedy: "));

  fs::copy_file(test::tool("CH_DEVICE", CHARLIE_CH_DEVICE), libexec / "ch-device");
  const Ran found = with_device();
  CAPTURE(found.err);
  CHECK(found.out == "libcuda.so.1 550\n");

  // The one beside it is tried first, and if it can't be executed, that is an error, no reason to
  // look elsewhere.
  test::write_file(bin / "ch-device", "#!/bin/sh\necho beside\n");
  fs::permissions(bin / "ch-device", fs::perms(0755));
  CHECK(with_device().out == "beside\n");
  fs::permissions(bin / "ch-device", fs::perms(0644));
  const Ran closed = with_device();
  CAPTURE(closed.err);
  CHECK(closed.status == 31);
  CHECK(closed.out.empty());
  CHECK(contains(closed.err, "ch-device"));
}
