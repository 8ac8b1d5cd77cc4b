// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. What ch-run has been asked about sharing its container: --join and its kin.
// What is not given is found out in join.hpp.
#pragma once

#include <optional>

#include "apps/ch-run/option_table.hpp"
#include "ch/policies/join/peer_group.hpp"

namespace ch_run {

struct JoinOptions {
  bool wanted = false;
  std::optional<std::uint32_t> count{};
  ch::ZString tag{};
  ch::Pid pid = ch::Pid::none;
  std::uint64_t timeout_s = 30;
};

/// Gives one option's value to `join`. Answers what is wrong with it, or null.
inline const char* apply_join(const ch::cli::Item& item, JoinOptions& join) noexcept {
  std::uint64_t number = 0;
  if (item.id == opt_join_pid) {
    if (!ch::parse_number(item.value, 0x7fffffff, number) || number == 0)
      return "--join-pid takes the number of a process";
    join.pid = static_cast<ch::Pid>(number);
    return nullptr;
  }
  if (item.id == opt_join_timeout) {
    if (!ch::parse_number(item.value, 86400, number) || number == 0)
      return "--join-timeout takes seconds, from 1 to 86400";
    join.timeout_s = number;
    return nullptr;
  }
  join.wanted = true;
  if (item.id == opt_join_ct) {
    if (!ch::parse_number(item.value, 65536, number))
      return "--join-ct takes a number from 0 to 65536";
    join.count = static_cast<std::uint32_t>(number);
  } else if (item.id == opt_join_tag) {
    join.tag = item.value;
    if (!ch::is_tag(item.value)) return "a tag has 1 to 64 visible ASCII characters, in --join-tag";
  }
  return nullptr;
}

}  // namespace ch_run
