// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. The ids that an administrator gave to a user besides the user's own, for containers
// whose files and processes have several owners: inside, the caller is root, and the subordinate
// ids are 1, 2, 3 ... Real root gets every id, mapped to itself. Source: man 5 subuid, subgid.
#pragma once

#include <pwd.h>

#include <fstream>
#include <sstream>
#include <vector>

#include "ch/hosted/id_writer.hpp"
#include "ch/policies/idmap/id_map.hpp"

namespace ch {

/// `count` ids from `first` on.
struct SubordinateRange {
  std::uint64_t first = 0, count = 0;
  friend bool operator==(const SubordinateRange&, const SubordinateRange&) = default;
};

/// The ranges that `text`, in the form of /etc/subuid, gives to the user of this name or
/// number. Malformed lines are skipped, as newuidmap does.
[[nodiscard]] inline std::vector<SubordinateRange> parse_subids(std::istream& text,
                                                                std::string_view name, Uid uid) {
  std::vector<SubordinateRange> ranges;
  for (std::string line; std::getline(text, line);) {
    std::istringstream fields(line);
    std::string who;
    SubordinateRange range;
    char colon = 0;
    if (!std::getline(fields, who, ':') || !(fields >> range.first >> colon >> range.count) ||
        colon != ':' || range.count == 0)
      continue;
    if (who == name || who == std::to_string(static_cast<unsigned>(uid))) ranges.push_back(range);
  }
  return ranges;
}

/// The map for these ranges: the caller is 0, the ranges follow from 1 on. Ranges that exceed 32
/// bits are left out.
template <class Id>
[[nodiscard]] std::vector<IdRange<Id>> map_of(Id own, const std::vector<SubordinateRange>& ranges) {
  std::vector<IdRange<Id>> map = {{Id{0}, own, 1}};
  std::uint64_t inside = 1;
  for (const SubordinateRange& range : ranges) {
    if (range.first > invalid_id || range.count > invalid_id - range.first ||
        range.count > invalid_id - inside)
      continue;
    map.push_back({static_cast<Id>(inside), static_cast<Id>(range.first),
                   static_cast<std::uint32_t>(range.count)});
    inside += range.count;
  }
  return map;
}

/// An IdMapPolicy that owns its ranges; made by subordinate_ids.
class SubordinateIds {
 public:
  using Policy = MappedIds;
  [[nodiscard]] Policy policy() const noexcept { return {users_, groups_}; }
  /// Why there are no such ids, if so; planning a box with them then fails with this.
  [[nodiscard]] const std::optional<Failure>& problem() const noexcept { return problem_; }

 private:
  friend SubordinateIds subordinate_ids();
  std::vector<IdRange<Uid>> users_{};
  std::vector<IdRange<Gid>> groups_{};
  std::optional<Failure> problem_{};
};

namespace detail {

/// The name of the user, or the number as a text.
[[nodiscard]] inline std::string user_name(uid_t uid) {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> room(16384);
  (void)::getpwuid_r(uid, &entry, room.data(), room.size(), &found);
  return found != nullptr ? found->pw_name : std::to_string(uid);
}

}  // namespace detail

/// The caller's subordinate ids, from /etc/subuid and /etc/subgid. newuidmap and newgidmap (package
/// uidmap) write the maps. A box with them is started in a copy of this process (fork). If there
/// are none, planning fails and says whom to ask. Peers and the freestanding front can't use them.
///
///     const auto box = ch::compose(ch::image("/img"), ch::subordinate_ids());
///     const auto end = ch::run(box, {"chown", "5:7", "/srv"});
[[nodiscard]] inline SubordinateIds subordinate_ids() {
  SubordinateIds ids;
  if (::geteuid() == 0) {
    ids.users_ = {{Uid::root, Uid::root, invalid_id}};
    ids.groups_ = {{Gid::root, Gid::root, invalid_id}};
    return ids;
  }
  const std::string name = detail::user_name(::geteuid());
  const auto read = [&](const char* file) {
    std::ifstream text(file);
    if (!text.is_open() && errno != ENOENT && !ids.problem_) {
      ids.problem_ = detail::failed_call(errno, "map several ids", file);
      ids.problem_->kind = Remedy::do_without_ids;
    }
    auto ranges = parse_subids(text, name, static_cast<Uid>(::geteuid()));
    if (ranges.empty() && !ids.problem_)
      ids.problem_ = detail::no_ids(file, "no subordinate ids for " + name);
    return ranges;
  };
  ids.users_ = map_of(static_cast<Uid>(::geteuid()), read("/etc/subuid"));
  ids.groups_ = map_of(static_cast<Gid>(::getegid()), read("/etc/subgid"));
  return ids;
}

}  // namespace ch
