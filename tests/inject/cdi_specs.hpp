// SPDX-License-Identifier: Apache-2.0
//
// Test support: Container Device Interface files as the drivers' tools write them, for a
// driver tree that a test has made. Device nodes are ones that every machine has.
#pragma once

#include <string>

namespace test {

/// nvidia-ctk cdi generate --format=json, of a machine with one GPU; the tree is in `driver`.
inline std::string nvidia_json(const std::string& driver) {
  const std::string lib = "/usr/lib/x86_64-linux-gnu";
  const auto mount = [&](const std::string& from, const std::string& to) {
    return R"({"hostPath": ")" + driver + from + R"(", "containerPath": ")" + to +
           R"(", "options": ["ro", "nosuid", "nodev", "bind"]})";
  };
  return R"({
  "cdiVersion": "0.5.0",
  "kind": "nvidia.com/gpu",
  "devices": [
    {"name": "0", "containerEdits": {"deviceNodes": [
       {"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "permissions": "rw"}]}},
    {"name": "GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c", "containerEdits": {"deviceNodes": [
       {"path": "/dev/null"}]}},
    {"name": "all", "containerEdits": {"deviceNodes": [{"path": "/dev/null"}]}}
  ],
  "containerEdits": {
    "env": ["NVIDIA_VISIBLE_DEVICES=void", "ODD=a'$HOME:$b "],
    "deviceNodes": [{"path": "/dev/zero"}, {"path": "/dev/full", "hostPath": "/dev/full"}],
    "hooks": [
      {"hookName": "createContainer", "path": "/usr/bin/nvidia-cdi-hook",
       "args": ["nvidia-cdi-hook", "create-symlinks", "--link",
                "../libmade.so.1::)" +
         lib + R"(/gbm/made-drm_gbm.so", "--link", "libmade.so.1::)" + lib + R"(/libmade.so"],
       "env": ["NVIDIA_CTK_DEBUG=false"]},
      {"hookName": "createContainer", "path": "/usr/bin/nvidia-cdi-hook",
       "args": ["nvidia-cdi-hook", "enable-cuda-compat", "--host-driver-version=550.54.14"]},
      {"hookName": "createContainer", "path": "/usr/bin/nvidia-ctk",
       "args": ["nvidia-ctk", "hook", "update-ldcache", "--folder", ")" +
         lib + R"(", "--folder", "/opt/made/deep"]}
    ],
    "mounts": [)" +
         mount("/made-smi", "/usr/bin/made-smi") + ", " +
         mount("/libmade.so.550.54.14", lib + "/libmade.so.550.54.14") + ", " +
         mount("/libother.so.550.54.14", "/opt/made/deep/libother.so.550.54.14") + R"(]
  }
})";
}

/// The same device in YAML, as nvidia-ctk writes it by default, much shortened.
inline std::string nvidia_yaml(const std::string& driver) {
  return R"(---
cdiVersion: 0.5.0
containerEdits:
  deviceNodes:
  - path: /dev/zero
  env:
  - NVIDIA_VISIBLE_DEVICES=void
  hooks:
  - args:
    - nvidia-cdi-hook
    - create-symlinks
    - --link
    - libmade.so.1::/usr/lib/x86_64-linux-gnu/libmade.so
    hookName: createContainer
    path: /usr/bin/nvidia-cdi-hook
  mounts:
  - containerPath: /usr/lib/x86_64-linux-gnu/libmade.so.550.54.14
    hostPath: )" + driver + R"(/libmade.so.550.54.14
    options:
    - ro
    - nosuid
    - nodev
    - bind
devices:
- containerEdits:
    deviceNodes:
    - major: 1
      minor: 3
      path: /dev/null
  name: "0"
- containerEdits:
    deviceNodes:
    - path: /dev/null
  name: all
kind: nvidia.com/gpu
)";
}

/// amd-ctk cdi generate.
inline std::string amd_json() {
  return R"({"cdiVersion": "0.6.0", "kind": "amd.com/gpu", "containerEdits": {"deviceNodes":
  [{"path": "/dev/zero", "hostPath": "/dev/zero", "permissions": "rw"}]}, "devices": [
  {"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/null", "hostPath": "/dev/null",
    "permissions": "rw"}]}},
  {"name": "1", "containerEdits": {"deviceNodes": [{"path": "/dev/full", "hostPath": "/dev/full",
    "permissions": "rw"}]}}]})";
}

/// The generator of Intel's resource drivers: names are PCI addresses, links of /dev are mounts.
inline std::string intel_yaml() {
  return R"(cdiVersion: 0.6.0
kind: intel.com/gpu
containerEdits: {}
devices:
- name: 0000:03:00.0-0x56a0
  containerEdits:
    deviceNodes:
    - path: /dev/null
      hostPath: /dev/null
      type: c
    mounts:
    - hostPath: /dev/zero
      containerPath: /dev/zero
      options: [bind, rw]
      type: none
)";
}

}  // namespace test
