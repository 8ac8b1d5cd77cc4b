// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. A member of an archive, and the users of an image, as text. Source: man 1 ls, "-l".
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>

#include "ch/image/member.hpp"
#include "ch/image/member_path.hpp"
#include "ch/image/options.hpp"

namespace ch::images {

/// One line as `ls -l` and tar have it: kind and mode, size, time, name. Whiteouts are listed as
/// "removed".
[[nodiscard]] inline std::string listing_line(const Member& m) {
  if (m.kind == MemberKind::whiteout)
    return "removed                                    /" + printable(m.path);
  static constexpr char kinds[] = {'d', '-', 'l', 'h', 'p', 'c'};
  std::string line(1, kinds[static_cast<std::size_t>(m.kind)]);
  for (int bit = 8; bit >= 0; --bit) line += (m.mode >> bit & 1) != 0 ? "rwx"[(8 - bit) % 3] : '-';
  if ((m.mode & S_ISUID) != 0) line[3] = (m.mode & 0100) != 0 ? 's' : 'S';
  if ((m.mode & S_ISGID) != 0) line[6] = (m.mode & 010) != 0 ? 's' : 'S';
  if ((m.mode & S_ISVTX) != 0) line[9] = (m.mode & 01) != 0 ? 't' : 'T';
  char rest[64];
  tm utc{};
  ::gmtime_r(&m.modified.tv_sec, &utc);
  const int n = std::snprintf(rest, sizeof rest, " %14llu %04lld-%02d-%02d %02d:%02d /",
                              static_cast<unsigned long long>(m.size), 1900LL + utc.tm_year,
                              utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min);
  line.append(rest, std::min(static_cast<std::size_t>(std::max(n, 0)), sizeof rest - 1));
  line += printable(m.path);
  if (m.kind == MemberKind::symlink) line += " -> " + printable(m.target);
  if (m.kind == MemberKind::hard_link) line += " link to /" + printable(m.target);
  return line;
}

/// The first few as text: "12 (solver), 13 (solver) and 4 more".
[[nodiscard]] inline std::string text_of(const std::vector<ImageUser>& users) {
  if (users.empty()) return "unknown processes (this could not be determined)";
  constexpr std::size_t shown = 8;
  std::string text;
  for (std::size_t i = 0; i < users.size() && i < shown; ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(users[i].pid) + " (" + users[i].command + ')';
  if (users.size() > shown) text += " and " + std::to_string(users.size() - shown) + " more";
  return text;
}

}  // namespace ch::images
