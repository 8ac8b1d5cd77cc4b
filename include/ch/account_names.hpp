// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. Names of ids: from /etc/passwd and /etc/group, and for an id that they lack, from
// `getent`, which queries the site's directory services (LDAP, SSSD). We never link NSS itself: it
// loads plug-ins, allocates and takes longer than a launch. Source: man 1 getent.
#pragma once

#include "ch/kernel/process.hpp"
#include "ch/plan/account.hpp"

namespace ch {
namespace detail {

/// The output of `getent DATABASE ID`, in the arena; empty if it prints nothing or is not
/// installed.
template <kernel::Kernel K>
std::string_view run_getent(K& k, const char* database, std::uint32_t id, Arena& arena) noexcept {
  Fd ends[2];
  if (!kernel::pipe(k, ends).ok()) return {};
  const auto child = kernel::fork(k, 0);
  if (child.ok() && child.value() == Pid::none) {
    TextBuffer<16> number;
    number << static_cast<unsigned>(id);
    const char* const argv[] = {"getent", database, number.c_str(), nullptr};
    const char* const envp[] = {nullptr};
    (void)kernel::dup3(k, ends[1], static_cast<Fd>(1));
    for (const char* path : {"/usr/bin/getent", "/bin/getent"})
      (void)kernel::execve(k, path, argv, envp);
    kernel::exit_group(k, 127);
  }
  (void)kernel::close(k, ends[1]);
  constexpr std::size_t room = 4096;
  char* text = static_cast<char*>(arena.allocate(room, 1));
  std::size_t size = 0;
  while (child.ok() && text != nullptr && size < room) {
    const auto n = kernel::read(k, ends[0], text + size, room - size);
    if (!n.ok() || n.value() == 0) break;
    size += n.value();
  }
  (void)kernel::close(k, ends[0]);
  int status = 0;
  if (child.ok()) (void)kernel::wait4(k, child.value(), status);
  return status == 0 && text != nullptr ? std::string_view(text, size) : std::string_view();
}

}  // namespace detail

/// The account of `id`. `database` is "passwd" or "group". Empty if neither source knows it. Starts
/// a child and waits for it, so only for programs in which no other thread starts children.
template <kernel::Kernel K>
[[nodiscard]] Account look_up_account(K& k, const char* database, std::uint32_t id, Arena& arena,
                                      Descriptors descriptors = Descriptors::close_now) noexcept {
  const bool users = std::string_view(database) == "passwd";
  const Account found =
      find_account(k, arena, id, users ? "/etc/passwd" : "/etc/group", descriptors);
  if (!found.name.empty()) return found;
  std::string_view line = detail::run_getent(k, database, id, arena);
  line = head(line, line.find('\n'));
  const char* name = arena.join(detail::colon_field(line, 0));
  const char* home = arena.join(detail::colon_field(line, 5));
  return {name == nullptr ? "" : name, home == nullptr ? "" : home};
}

}  // namespace ch
