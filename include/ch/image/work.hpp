// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Identifies what is unpacked, and how, as a text: two runs with the same text make the
// same image, so one of them is enough. An archive is identified by inode, size, mtime and ctime,
// which can't be set; its content is not read. The device is left out: its number differs between
// machines that share a file system.
// Source: man 7 inode.
#pragma once

#include "ch/image/extract.hpp"
#include "ch/image/report_json.hpp"

namespace ch::images {

/// Empty if the archive can't be identified, since it comes through a pipe. Throws what man 2 fstat
/// says.
[[nodiscard]] inline std::string work_of(const Input& input, const UnpackOptions& options) {
  nlohmann::json files = nlohmann::json::array();
  const auto add = [&files](int fd) {
    struct stat s {};
    if (::fstat(fd, &s) != 0) io::throw_errno("look at", "the archive");
    files.push_back({s.st_ino, s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec, s.st_ctim.tv_sec,
                     s.st_ctim.tv_nsec});
    return S_ISREG(s.st_mode);
  };
  if (input.layout) {
    for (const int fd : input.layout->descriptors()) add(fd);
  } else if (!add(input.stream.get())) {
    return {};
  }
  const nlohmann::json how = {
      {"image", options.image_name},
      {"platform", {options.platform.os, options.platform.architecture, options.platform.variant}},
      {"special_bits", static_cast<int>(options.special_bits)},
      {"xattrs", static_cast<int>(options.xattrs)},
      {"owners", static_cast<int>(options.owners)},
      {"sync", static_cast<int>(options.sync)},
      {"replace", static_cast<int>(options.replace)},
      {"containment", static_cast<int>(options.containment)},
      {"max_size", options.max_size},
      {"max_files", options.max_files}};
  return io::dump_json({{"files", files}, {"how", how}});
}

}  // namespace ch::images
