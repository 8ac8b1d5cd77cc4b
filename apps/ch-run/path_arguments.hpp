// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. Arguments that are paths separated by colons: those of --bind, --copy, --symlink.
#pragma once

#include "apps/ch-run/parse_value.hpp"
#include "ch/types/arena.hpp"

namespace ch_run {

/// The parts of a text between unescaped colons, with "\:" and "\\" undone, in the arena.
struct Parts {
  const char* part[3] = {};
  int count = 0;
  const char* problem = nullptr;
};

inline Parts split_at_colons(const char* text, int most, ch::Arena& arena) noexcept {
  const std::string_view whole(text);
  Parts parts;
  char* out = arena.make<char>(whole.size() + 1);
  if (out == nullptr) {
    parts.problem = too_much;
    return parts;
  }
  parts.part[parts.count++] = out;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    if (whole[i] == '\\' && i + 1 < whole.size() && (whole[i + 1] == ':' || whole[i + 1] == '\\')) {
      *out++ = whole[++i];
    } else if (whole[i] == ':') {
      if (parts.count == most) {
        parts.problem = "too many colons (write a colon in a path as \\:)";
        return parts;
      }
      *out++ = '\0';
      parts.part[parts.count++] = out;
    } else {
      *out++ = whole[i];
    }
  }
  *out = '\0';
  return parts;
}

/// Reads SRC[:DST[:ro]]. Returns null, or what is wrong. `number` names the default destination.
inline const char* parse_bind(const char* text, unsigned number, ch::Arena& arena,
                              ch::UserBind& bind) noexcept {
  const std::string_view whole(text);
  const Parts parts = split_at_colons(text, 3, arena);
  if (parts.problem != nullptr) return parts.problem;
  const auto& part = parts.part;
  if (part[0][0] == '\0') return "no source in --bind";
  bind.source = ch::HostPath(part[0]);
  if (part[1] == nullptr || (part[1][0] == '\0' && part[2] != nullptr)) {
    ch::TextBuffer<24> destination;
    destination << "/mnt/" << number;
    const char* kept = arena.join(destination.view());
    if (kept == nullptr) return too_much;
    bind.destination = ch::ImagePath(kept);
  } else if (part[1][0] != '/') {
    return "the destination must be an absolute path in --bind";
  } else if (std::string_view(part[1]).find_first_not_of('/') == std::string_view::npos) {
    return "the destination can't be / in --bind";
  } else {
    bind.destination = ch::ImagePath(part[1]);
  }
  if (part[2] == nullptr) return nullptr;
  const std::string_view mode(part[2]);
  if (mode != "ro" && mode != "rw")
    return "after the second colon there can only be ro or rw, in --bind";
  bind.access = mode == "ro" ? ch::Access::read_only : ch::Access::read_write;
  return nullptr;
}

/// Reads TEXT:DST, where DST is the absolute path of something in the container.
inline const char* parse_pair(const char* text, ch::Arena& arena, ch::ZString& first,
                              ch::ImagePath& destination) noexcept {
  const Parts parts = split_at_colons(text, 2, arena);
  if (parts.problem != nullptr) return parts.problem;
  if (parts.count < 2 || parts.part[0][0] == '\0')
    return "two values with a colon between them are needed";
  const std::string_view path(parts.part[1]);
  const auto name = ch::tail(path, path.rfind('/') + 1);
  if (ch::head(path, 1) != "/" || name.empty() || name == "." || name == "..")
    return "an absolute path that ends in a name is needed after the colon";
  first = parts.part[0];
  destination = ch::ImagePath(parts.part[1]);
  return nullptr;
}

}  // namespace ch_run
