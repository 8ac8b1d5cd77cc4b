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
  /// `tell`, if not empty, is called for each member and each whiteout.
  explicit MemberLister(std::function<void(const Member&)> tell) : tell_(std::move(tell)) {}

  void begin_layer() {}
  void settle() {}
  void directory(const Member& m) { say(m); }
  void symlink(const Member& m) { say(m); }
  void hard_link(const Member& m) { say(m); }
  void fifo(const Member& m) { say(m); }
  template <class NextPiece>
  void file(const Member& m, NextPiece&& next_piece) {
    say(m);
    Piece piece;
    while (next_piece(piece)) {
    }
  }
  void whiteout(const std::string& path) { tell_whiteout(path); }
  void opaque(const std::string& path) { tell_whiteout(path.empty() ? "*" : path + "/*"); }

 private:
  void tell_whiteout(const std::string& what) {
    Member m;
    m.kind = MemberKind::whiteout;
    m.path = what;
    say(m);
  }
  void say(const Member& m) {
    if (tell_) tell_(m);
  }
  std::function<void(const Member&)> tell_;
};

}  // namespace ch::images
