// SPDX-License-Identifier: Apache-2.0
//
// Fault injection: unpacking with ch-tar2dir, into nothing and over an image, of every kind
// of archive.
#pragma once

#include "tests/faults/scenario.hpp"
#include "tests/image/image_archives.hpp"

namespace faults {

/// What a small root file system has, with one of each kind.
inline test::Tar lower_layer() {
  test::Tar tar;
  tar.dir("bin/").file("bin/sh", "#!\n", 0755).dir("dev/").dir("usr/").file("usr/f", "old");
  tar.symlink("l", "usr").hard_link("h", "usr/f").add({"p", '6', "", "", 0600});
  return tar;
}
inline test::Tar upper_layer() {
  test::Tar tar;
  tar.file("usr/f", "new").file("bin/.wh.sh", "").file("bin/ls", "ls").dir("d/").file("d/x", "x");
  return tar;
}

/// Our record of the unpacking without what the clock says.
inline State unpacked_state(const Place& place) {
  State state;
  add_tree(state, place / "at/image", "image");
  return state;
}

inline Scenario unpack_scenario(const Place& place, const Command& options,
                                const std::string& archive) {
  fs::create_directory(place / "at");
  std::ofstream(place / "archive") << archive;
  Scenario s;
  s.tool = "ch-tar2dir";
  Command words = {place.tool("ch-tar2dir")};
  words.insert(words.end(), options.begin(), options.end());
  words.push_back(place / "archive");
  const bool only_looks = options[0] == "--list" || options[0] == "--check";
  if (!only_looks) words.push_back(place / "at/image");
  s.remarks = "note: extracted without a container";
  s.commands = {words};
  s.environment = {"PATH=/usr/bin:/bin", "HOME=" + (place / "home"), "TMPDIR=" + (place / "tmp")};
  s.reset = [&place] {
    Place::clear(place / "at");
    fs::create_directory(place / "at");
  };
  s.state = [&place] { return unpacked_state(place); };
  s.leftovers = [&place] {
    std::vector<std::string> names;
    for (const auto& directory : {place / "at", place / "tmp", place / "home"})
      for (const auto& e : fs::directory_iterator(directory))
        if (e.path().filename() != "image") names.push_back(e.path().filename());
    return names;
  };
  return s;
}

/// The same over an older image.
inline Scenario replacing(const Place& place, Scenario s, int levels = 1) {
  fs::create_directories(place / "older/bin");
  fs::create_directories(place / "older/ch");
  std::ofstream(place / "older/bin/sh") << "older";
  for (const char* d : {"dev", "usr", "etc"}) fs::create_directories(fs::path(place / "older") / d);
  std::ofstream(place / "older/ch/unpacked.json") << "{}\n";
  fs::path deep = place / "older";
  for (int i = 0; i < levels; ++i) deep /= "deep";
  fs::create_directories(deep);
  std::ofstream(deep / "file") << "deep";
  s.reset = [&place, before = s.reset] {
    before();
    Place::copy(place / "older", place / "at/image");
    // Copies are from now, and the state has times.
    for (const auto& e : fs::recursive_directory_iterator(place / "at/image"))
      fs::last_write_time(e.path(), fs::file_time_type{});
  };
  return s;
}

inline std::string docker(const std::string& filter) {
  return test::image_archive({{lower_layer().bytes(), upper_layer().bytes()}, filter, {}},
                             test::Layout::docker_new);
}

inline std::vector<Entry> unpack_scenarios() {
  using test::compress;
  std::vector<Entry> all;
  const auto add = [&](const std::string& name, const Make& make) {
    all.push_back({"ch-tar2dir", name, make});
  };
  const auto fresh = [&](const std::string& name, const Command& options,
                         const std::function<std::string()>& archive) {
    add(name, [=](const Place& place) { return unpack_scenario(place, options, archive()); });
  };
  const auto gzip = [] { return compress(lower_layer().bytes(), "gzip"); };
  fresh("fresh, gzip, contained", {"-j1", "--contain=always"}, gzip);
  fresh("fresh, gzip, not contained", {"-j1", "--contain=never"}, gzip);
  fresh("fresh, plain, two threads", {"-j2", "--contain=never"},
        [] { return lower_layer().bytes(); });
  fresh("fresh, zstd", {"-j1"}, [] { return compress(lower_layer().bytes(), "zstd"); });
  fresh("fresh, xz", {"-j1"}, [] { return compress(lower_layer().bytes(), "xz"); });
  fresh("docker archive", {"-j1"}, [] { return docker("gzip"); });
  fresh("docker archive, not contained", {"-j1", "--contain=never"}, [] { return docker("none"); });
  fresh("OCI archive", {"-j1"}, [] {
    return test::image_archive({{lower_layer().bytes(), upper_layer().bytes()}, "zstd", {}},
                               test::Layout::oci);
  });
  fresh("extended attributes", {"-j1", "--xattrs"}, [] {
    test::Tar tar = lower_layer();
    tar.pax({{"SCHILY.xattr.user.mark", "value"}}).file("usr/marked", "x");
    return tar.bytes();
  });
  fresh("list", {"--list"}, gzip);
  fresh("check", {"--check"}, gzip);
  add("replacing, contained", [=](const Place& place) {
    return replacing(place, unpack_scenario(place, {"-j1"}, gzip()));
  });
  add("replacing, not contained", [=](const Place& place) {
    return replacing(place, unpack_scenario(place, {"-j1", "--contain=never"}, gzip()));
  });
  add("replacing a deep tree", [=](const Place& place) {
    return replacing(place, unpack_scenario(place, {"-j1"}, gzip()), 100);
  });
  return all;
}

}  // namespace faults
