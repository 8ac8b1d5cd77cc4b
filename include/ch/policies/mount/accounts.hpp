// SPDX-License-Identifier: Apache-2.0
//
// Floor 4, mount contributor: /etc/passwd and /etc/group with just the ids that exist
// inside: root, nobody and the user. The host's files would not do: many sites keep their users in
// LDAP, which a container can't query. The generated files are in the scratch file system, never on
// disk. Source: man 5 passwd, group.
#pragma once

#include "ch/plan/context.hpp"

namespace ch {

/// Whose /etc/passwd and /etc/group the container has.
enum class AccountsKind : std::uint8_t { generated, of_image };

struct Accounts {
  static constexpr bool uses_scratch = true;
  ZString user_name{};   // empty: "user" and the number
  ZString group_name{};  // empty: "group" and the number
  ZString home{"/"};     // of the user, as seen inside
  AccountsKind kind = AccountsKind::generated;

  void contribute(PlanBuilder& b, const PlanContext& c) const noexcept {
    if (kind == AccountsKind::of_image) return;
    TextBuffer<16> uid;
    TextBuffer<16> gid;
    uid << static_cast<unsigned>(c.uid);
    gid << static_cast<unsigned>(c.gid);
    const ZString user = user_name.empty() ? b.text("user", uid.view()) : user_name;
    const ZString group = group_name.empty() ? b.text("group", gid.view()) : group_name;
    const bool is_root = c.uid == Uid::root;

    ZString own_user;
    if (!is_root && c.uid != Uid::nobody)
      own_user = b.text(user.view(), ":x:", uid.view(), ":", gid.view(), ":", user.view(), ":",
                        home.view(), ":/bin/sh\n");
    ZString own_group;
    if (c.gid != Gid::root && c.gid != Gid::nogroup)
      own_group = b.text(group.view(), ":x:", gid.view(), ":\n");

    const ZString passwd =
        b.text("root:x:0:0:root:", is_root ? home.view() : "/root", ":/bin/sh\n",
               "nobody:x:65534:65534:nobody:/:/bin/false\n", own_user.view());
    const ZString groups = b.text("root:x:0:\n", "nogroup:x:65534:\n", own_group.view());
    b.add(step::WriteScratchFile{ScratchPath("passwd"), passwd.view()});
    b.add(step::WriteScratchFile{ScratchPath("group"), groups.view()});
    b.add(step::BindScratch{ScratchPath("passwd"), ImagePath("/etc/passwd"), Access::read_only,
                            IfMissing::skip});
    b.add(step::BindScratch{ScratchPath("group"), ImagePath("/etc/group"), Access::read_only,
                            IfMissing::skip});
  }
};

}  // namespace ch
