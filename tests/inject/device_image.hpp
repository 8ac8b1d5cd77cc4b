// SPDX-License-Identifier: Apache-2.0
//
// Test support: an image with glibc, ch-fromhost to act on it, and a device with a library for
// ch-device to look up.
#pragma once

#include "tests/inject/host_image.hpp"

namespace test {

/// An image, and a device whose library needs the loader's cache of the image changed.
struct DeviceImage : FromHost {
  std::string program = inject_fixture("bin/charlie_ask");
  std::string library = inject_fixture("lib/libcharlie_answer.so.1.0");
  std::string cdi = dir / "cdi";
  std::string cache = dir / "cache";

  DeviceImage() {
    fs::create_directory(cdi);
    write_file(
        cdi + "/a.json",
        R"({"cdiVersion": "0.5.0", "kind": "a.b/c", "devices": [{"name": "d", "containerEdits": {
            "mounts": [{"hostPath": ")" +
            library + R"(", "containerPath": "/opt/libcharlie_answer.so.1.0"}],
            "hooks": [{"hookName": "createContainer", "path": "/x",
              "args": ["x", "update-ldcache", "--folder", "/opt"]}]}}]})");
  }
  [[nodiscard]] Ran ch_device(std::vector<std::string> words) const {
    words.insert(words.begin(), {tool("CH_DEVICE", CHARLIE_CH_DEVICE), "--cdi-dirs", cdi});
    return run(words, options);
  }
  [[nodiscard]] Ran resolve(const std::string& file) const {
    return ch_device({"--device", "a.b/c=d", "--image", image, "--ld-cache", file});
  }
};

}  // namespace test
