// SPDX-License-Identifier: Apache-2.0
//
// Floor 3a. Privilege that a *file* gives to whoever executes it: set-uid and set-gid bits, file
// capabilities. Our containers need none, and a privileged process would pass its privilege on to
// any command of any user. So it is refused before anything else.
// Source: man 3 getauxval (AT_SECURE); man 7 capabilities, credentials.
#pragma once

#include "ch/kernel/process.hpp"
#include "ch/plan/account.hpp"

namespace ch {

enum class Privilege : std::uint8_t {
  none,
  set_id,         // real and effective ids differ
  file,           // by AT_SECURE: set-uid, set-gid, or capabilities of the file
  foreign_group,  // root with another group than root's, as after dropping privilege only partly
};

/// The ids of a process. `secure`: AT_SECURE of the auxiliary vector.
struct Identity {
  std::uint32_t uid = 0, effective_uid = 0, gid = 0, effective_gid = 0;
  bool secure = false;
};

/// The privilege that these ids mean. Pure. Does not distinguish root from root of a user
/// namespace.
[[nodiscard]] constexpr Privilege privilege_of(const Identity& who) noexcept {
  if (who.uid != who.effective_uid || who.gid != who.effective_gid) return Privilege::set_id;
  if (who.secure) return Privilege::file;
  if (who.effective_uid == 0 && who.effective_gid != 0) return Privilege::foreign_group;
  return Privilege::none;
}

/// Why each kind is refused, one sentence; empty for `none`.
[[nodiscard]] constexpr ZString why_refused(Privilege privilege) noexcept {
  switch (privilege) {
    case Privilege::set_id:
    case Privilege::file:
      return "refusing to run with privilege: this program's file is set-uid or set-gid, or has "
             "capabilities, and would hand them to any command of any user";
    case Privilege::foreign_group:
      return "refusing to run as root with a group other than root's: privilege was only partly "
             "dropped";
    case Privilege::none:
      break;
  }
  return {};
}
[[nodiscard]] constexpr ZString remedy_of(Privilege privilege) noexcept {
  switch (privilege) {
    case Privilege::set_id:
    case Privilege::file:
      return "containers need no privilege: chmod u-s,g-s FILE, and setcap -r FILE";
    case Privilege::foreign_group:
      return "use root's group as well, or an ordinary user";
    case Privilege::none:
      break;
  }
  return {};
}

namespace detail {

/// Is uid 0 the host's root? In a user namespace, uid 0 with another group is legitimate.
template <kernel::Kernel K>
[[nodiscard]] bool is_real_root(K& k) noexcept {
  bool all = false;
  for_each_line(k, "/proc/self/uid_map", [&](std::string_view line) {
    constexpr std::string_view every_id = " 4294967295";
    all = line.size() > every_id.size() && tail(line, line.size() - every_id.size()) == every_id;
    return true;
  });
  return all;
}

template <kernel::Kernel K>
[[nodiscard]] Privilege effective_privilege(K& k, const Identity& who) noexcept {
  const Privilege found = privilege_of(who);
  return found == Privilege::foreign_group && !is_real_root(k) ? Privilege::none : found;
}

}  // namespace detail

/// Reads the ids from the auxiliary vector, which follows the environment: no system call, but
/// valid only until something changes ids. False if some are missing there. `environment` is the
/// original one, at `argv + argc + 1`: libc may have moved environ, and main's third argument with
/// it. If variables were removed (the dynamic loader does that in a set-uid program), several nulls
/// end the list. Source: man 3 getauxval.
[[nodiscard]] inline bool identity_at_start(const char* const* environment,
                                            Identity& who) noexcept {
  constexpr long at_null = 0, at_uid = 11, at_euid = 12, at_gid = 13, at_egid = 14, at_secure = 23;
  while (*environment != nullptr) ++environment;
  while (*environment == nullptr) ++environment;
  unsigned found = 0;
  for (const auto* aux = reinterpret_cast<const long*>(environment); aux[0] != at_null; aux += 2) {
    const auto id = static_cast<std::uint32_t>(aux[1]);
    switch (aux[0]) {
      case at_uid:
        who.uid = id;
        break;
      case at_euid:
        who.effective_uid = id;
        break;
      case at_gid:
        who.gid = id;
        break;
      case at_egid:
        who.effective_gid = id;
        break;
      case at_secure:
        who.secure = id != 0;
        break;
      default:
        continue;
    }
    ++found;
  }
  return found == 5;
}

/// The same at any time, by four system calls. AT_SECURE is unknown then, but different real and
/// effective ids are seen.
template <kernel::Kernel K>
[[nodiscard]] Identity identity(K& k) noexcept {
  return {kernel::getuid(k).value(), kernel::geteuid(k).value(), kernel::getgid(k).value(),
          kernel::getegid(k).value(), false};
}

/// Does this process have privilege that its user lacks? For the first line of a tool's main;
/// `environment` as above. No system call, except for root with another group.
template <kernel::Kernel K>
[[nodiscard]] Privilege privilege_at_start(K& k, const char* const* environment) noexcept {
  Identity who;
  if (!identity_at_start(environment, who)) {
    const bool secure = who.secure;
    who = identity(k);
    who.secure = secure;
  }
  return detail::effective_privilege(k, who);
}

}  // namespace ch
