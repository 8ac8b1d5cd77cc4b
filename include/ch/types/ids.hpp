// SPDX-License-Identifier: Apache-2.0
//
// Floor 2. Identity and namespace values, each a type of its own so that a uid can't
// be passed for a gid, nor an id of the host for one of the container.
// Source: man 7 user_namespaces, namespaces.
#pragma once

#include <cstdint>

#include "ch/kernel/abi.hpp"

namespace ch {

using kernel::Fd;
using kernel::Pid;

enum class Uid : std::uint32_t { root = 0, nobody = 65534 };
enum class Gid : std::uint32_t { root = 0, nogroup = 65534 };

/// Ids in /proc/*/{u,g}id_map may be anything but this one, which means "no id".
inline constexpr std::uint32_t invalid_id = 0xFFFFFFFF;

/// One line of uid_map: `count` ids from `inside` on map to the parent's ids from `outside` on.
template <class Id>
struct IdRange {
  Id inside{};
  Id outside{};
  std::uint32_t count = 1;
  friend constexpr bool operator==(const IdRange&, const IdRange&) noexcept = default;
};

/// A set of namespace kinds, as the CLONE_NEW* bits of clone(2).
enum class NamespaceFlags : std::uint64_t { none = 0 };
constexpr NamespaceFlags operator|(NamespaceFlags a, NamespaceFlags b) noexcept {
  return static_cast<NamespaceFlags>(static_cast<std::uint64_t>(a) | static_cast<std::uint64_t>(b));
}
constexpr NamespaceFlags operator&(NamespaceFlags a, NamespaceFlags b) noexcept {
  return static_cast<NamespaceFlags>(static_cast<std::uint64_t>(a) & static_cast<std::uint64_t>(b));
}
[[nodiscard]] constexpr bool contains(NamespaceFlags set, NamespaceFlags part) noexcept {
  return (set & part) == part;
}

/// Linux's eight kinds, with clone's flag and the name in /proc/PID/ns.
struct NamespaceKind {
  NamespaceFlags flag;
  const char* name;
};
inline constexpr NamespaceKind namespace_kinds[] = {
    {static_cast<NamespaceFlags>(kernel::clone_newuser), "user"},
    {static_cast<NamespaceFlags>(kernel::clone_newns), "mnt"},
    {static_cast<NamespaceFlags>(kernel::clone_newpid), "pid"},
    {static_cast<NamespaceFlags>(kernel::clone_newnet), "net"},
    {static_cast<NamespaceFlags>(kernel::clone_newipc), "ipc"},
    {static_cast<NamespaceFlags>(kernel::clone_newuts), "uts"},
    {static_cast<NamespaceFlags>(kernel::clone_newcgroup), "cgroup"},
    {static_cast<NamespaceFlags>(kernel::clone_newtime), "time"},
};

/// Can only a child enter these namespaces? unshare and setns move only later children to a pid or
/// time namespace.
[[nodiscard]] constexpr bool needs_child(NamespaceFlags flags) noexcept {
  constexpr auto kinds = static_cast<NamespaceFlags>(kernel::clone_newpid | kernel::clone_newtime);
  return (flags & kinds) != NamespaceFlags::none;
}

/// When the descriptors that we opened are closed.
enum class Descriptors : std::uint8_t {
  close_now,      // the process lives on (enter, and any test)
  close_at_exec,  // exec or exit follows at once and closes them all
};

/// How an image is found: by its path, or only by an open descriptor, whatever its path leads to by
/// now.
enum class FoundBy : std::uint8_t { path, descriptor };

/// Whether a mount is read-only.
enum class Access : std::uint8_t { read_only, read_write };

}  // namespace ch
