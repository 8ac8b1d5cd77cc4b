// SPDX-License-Identifier: Apache-2.0
//
// Fault injection: ch-fromhost on a small image with glibc: injecting, again, and taking
// out; with files of the image in the way, and with these hard-linked.
#pragma once

#include <regex>

#include "tests/faults/scenario.hpp"
#include "tests/inject/host_image.hpp"

namespace faults {

struct Injection {
  bool with_original = false;  // the image has a program of the same name
  bool hard_linked = false;    // under two names
  bool libfabric = false;
  bool injected = false;  // found already done
};

/// Gives all files and links of an image the same old time, so that their records are
/// the same each time, and new files can be recognised.
inline void make_old(const fs::path& image) {
  const timespec then[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
  for (const auto& e : fs::recursive_directory_iterator(image))
    if (e.is_symlink() || e.is_regular_file())
      REQUIRE(utimensat(AT_FDCWD, e.path().c_str(), then, AT_SYMLINK_NOFOLLOW) == 0);
}

inline Scenario inject_scenario(const Place& place, const Injection& kind, bool remove) {
  const fs::path pristine = place / "pristine";
  test::make_glibc_image(pristine);
  if (kind.with_original || kind.hard_linked)
    std::ofstream(pristine / "usr/bin/charlie_ask") << "the image's own";
  if (kind.libfabric) {
    const fs::path lib = pristine / "usr/lib";
    fs::copy_file(place.tools.objects / "image/libfabric.so.1.2.3", lib / "libfabric.so.1.2.3");
    fs::create_symlink("libfabric.so.1.2.3", lib / "libfabric.so.1");
    fs::create_symlink("libfabric.so.1", lib / "libfabric.so");
  }
  make_old(pristine);
  Command inject = {place.tool("ch-fromhost")};
  if (kind.libfabric)
    inject.insert(inject.end(), {"-p", place.tools.objects / "opt/cray/libfabric.so"});
  else
    inject.insert(inject.end(), {"-p", place.tools.objects / "bin/charlie_ask", "-p",
                                 place.tools.objects / "lib/libcharlie_answer.so.1.0"});
  inject.push_back(place / "image");
  const Command undo = {place.tool("ch-fromhost"), "--remove", place / "image"};

  Scenario s;
  s.tool = "ch-fromhost";
  s.commands = {remove ? undo : inject};
  s.environment = {"PATH=/usr/bin:/bin", "HOME=" + (place / "home"), "TMPDIR=" + (place / "tmp")};
  const auto put_back = [&place, kind](const std::string& from) {
    Place::clear(place / "image");
    Place::copy(place / from, place / "image");
    make_old(place / "image");
    if (kind.hard_linked && !fs::exists(place / "image/usr/bin/charlie_also"))
      fs::create_hard_link(place / "image/usr/bin/charlie_ask",
                           place / "image/usr/bin/charlie_also");
  };
  if (kind.injected || remove) {
    s.reset = [put_back, inject, environment = s.environment] {
      put_back("pristine");
      (void)run_commands({inject}, environment, unwatched());
    };
  } else {
    s.reset = [put_back] { put_back("pristine"); };
    s.undo = undo;
  }
  s.may_stay = "image";
  s.state = [&place] {
    State state;
    add_tree(state, place / "image", "image");
    // The record has the times of files that were written just now.
    static const std::regex now(R"("seconds": 1[5-9]\d{8},\s*"nanoseconds": \d+)");
    for (auto& [name, text] : state)
      if (name == "image/ch/injected.json") text = std::regex_replace(text, now, "new");
    return state;
  };
  s.leftovers = [&place] {
    std::vector<std::string> names;
    for (const auto& e : fs::directory_iterator(place / "tmp"))
      names.push_back(e.path().filename());
    return names;
  };
  return s;
}

inline std::vector<Entry> inject_scenarios() {
  std::vector<Entry> all;
  const auto add = [&](const std::string& name, Injection kind, bool remove) {
    all.push_back({"ch-fromhost", name,
                   [=](const Place& place) { return inject_scenario(place, kind, remove); }});
  };
  add("fresh", {}, false);
  add("replacing", {.with_original = true}, false);
  add("replacing what has hard links", {.hard_linked = true}, false);
  add("libfabric", {.libfabric = true}, false);
  add("again", {.with_original = true, .injected = true}, false);
  add("remove", {.with_original = true}, true);
  add("remove, hard links", {.hard_linked = true}, true);
  return all;
}

}  // namespace faults
