// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Takes the place of the tree writer where nothing is to be written: reads all content,
// so that the reader makes every check, and reports each member.
#pragma once

#include <functional>

#include "ch/image/archive_reader.hpp"

namespace ch::images {

class MemberLister {
 public:
  /// `tell` is called for each member, and for each whiteout with a member of kind `device`.
  explicit MemberLister(std::function<void(const Member&)> tell) : tell_(std::move(tell)) {}

  void begin_layer() {}
  void settle() {}
  void directory(const Member& m) { tell_(m); }
  void symlink(const Member& m) { tell_(m); }
  void hard_link(const Member& m) { tell_(m); }
  void fifo(const Member& m) { tell_(m); }
  template <class NextPiece>
  void file(const Member& m, NextPiece&& next_piece) {
    tell_(m);
    Piece piece;
    while (next_piece(piece)) {
    }
  }
  void whiteout(const std::string& path) { tell_whiteout(path); }
  void opaque(const std::string& path) { tell_whiteout(path.empty() ? "*" : path + "/*"); }

 private:
  void tell_whiteout(const std::string& what) {
    Member m;
    m.kind = MemberKind::device;  // as overlayfs stores them; real devices are never reported
    m.path = what;
    tell_(m);
  }
  std::function<void(const Member&)> tell_;
};

/// One line as `ls -l` and tar have it: kind and mode, size, time, name. Whiteouts are listed as
/// "removed".
[[nodiscard]] inline std::string listing_line(const Member& m) {
  if (m.kind == MemberKind::device)
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
  const int n = std::snprintf(rest, sizeof rest, " %14llu %04d-%02d-%02d %02d:%02d /",
                              static_cast<unsigned long long>(m.size), utc.tm_year + 1900,
                              utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min);
  line.append(rest, std::min(static_cast<std::size_t>(std::max(n, 0)), sizeof rest - 1));
  line += printable(m.path);
  if (m.kind == MemberKind::symlink) line += " -> " + printable(m.target);
  if (m.kind == MemberKind::hard_link) line += " link to /" + printable(m.target);
  return line;
}

}  // namespace ch::images
