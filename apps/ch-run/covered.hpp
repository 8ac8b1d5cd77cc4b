// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. Warns of binds that hide another bind, the user's home, or /tmp, since files written
// there then go elsewhere than the user may think. Compares the paths as given: links in the image
// are not followed.
#pragma once

#include "apps/ch-run/launch.hpp"

namespace ch_run {

/// Does a mount at `cover` hide `place`? True if it is that path or an ancestor.
[[nodiscard, gnu::noinline]] constexpr bool covers(std::string_view cover,
                                                   std::string_view place) noexcept {
  const auto next = [](std::string_view& path) {
    for (;;) {
      while (head(path, 1) == "/") path.remove_prefix(1);
      const std::string_view name = head(path, path.find('/'));
      path.remove_prefix(name.size());
      if (name != ".") return name;
    }
  };
  for (;;) {
    const std::string_view name = next(cover);
    if (name.empty()) return true;
    if (name != next(place)) return false;
  }
}

/// Warns of each bind that hides an earlier one, home or /tmp. No system call if there is none.
[[gnu::noinline]] inline void warn_of_covered(const Launch& l) noexcept {
  const Home& home = l.made.container.mounts.get<Home>();
  TextBuffer<320> inside;
  if (!home.source.empty()) inside << "/home/" << home.user;
  const auto binds = l.options.binds.span();
  for (std::size_t i = 0; i < binds.size(); ++i) {
    const std::string_view cover = binds[i].destination.view();
    const auto warn = [&](std::string_view what, std::string_view where) __attribute__((noinline)) {
      TextBuffer<1024> text;
      text << "the bind of " << binds[i].source.view() << " at " << cover << " covers " << what
           << where;
      l.messages().warning(text.view());
    };
    if (!inside.view().empty() && covers(cover, inside.view()))
      warn("your home directory at ", inside.view());
    if (covers(cover, "/tmp")) warn("", "/tmp");
    for (std::size_t j = 0; j < i; ++j) {
      const bool same =
          binds[i].source.view() == binds[j].source.view() && cover == binds[j].destination.view();
      if (same || !covers(cover, binds[j].destination.view())) continue;
      TextBuffer<640> earlier;
      earlier << binds[j].source.view() << " at " << binds[j].destination.view();
      warn("the earlier one of ", earlier.view());
    }
  }
}

}  // namespace ch_run
