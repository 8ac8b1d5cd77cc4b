// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. One member of an archive. Source: POSIX pax, "ustar Interchange Format".
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

namespace ch::images {

enum class MemberKind {
  directory,
  file,
  symlink,
  hard_link,
  fifo,
  device,
  whiteout,  // removes what lower layers have there; with a path that ends in *, all of a directory
};

/// The owner that a file gets; -1: unchanged.
struct Owner {
  uid_t user = static_cast<uid_t>(-1);
  gid_t group = static_cast<gid_t>(-1);
};

/// Names and values, which are bytes.
using ExtendedAttributes = std::vector<std::pair<std::string, std::string>>;

/// One archive member. Strings are reused from one to the next.
struct Member {
  MemberKind kind = MemberKind::file;
  std::string name;    // as in the archive
  std::string path;    // normal form, "" for the root
  std::string target;  // of a link: verbatim for a symlink, in normal form for a hard link
  mode_t mode = 0;     // permission and special bits only
  std::uint64_t size = 0;
  timespec modified{};
  Owner owner;
  bool owner_is_valid = true;  // both ids fit into 32 bits
  bool sparse = false;
  ExtendedAttributes xattrs;  // only if asked for
};

}  // namespace ch::images
