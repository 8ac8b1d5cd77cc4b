// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The options about sharing a container: --join and the like. What is not given is
// determined in join.hpp.
#pragma once

#include <optional>

#include "apps/ch-run/parse_value.hpp"
#include "ch/policies/join/peer_group.hpp"

namespace ch_run {

struct JoinOptions {
  bool wanted = false;
  std::optional<std::uint32_t> count{};
  ch::ZString tag{};
  ch::Pid pid = ch::Pid::none;
  std::uint64_t timeout_s = 30;
};

inline const char* take_join_pid(JoinOptions& join, const char* text) noexcept {
  std::uint64_t number = 0;
  if (!ch::parse_number(text, 0x7fffffff, number) || number == 0)
    return "--join-pid takes the number of a process";
  join.pid = static_cast<ch::Pid>(number);
  return nullptr;
}
inline const char* take_join_timeout(JoinOptions& join, const char* text) noexcept {
  if (ch::parse_number(text, 86400, join.timeout_s) && join.timeout_s > 0) return nullptr;
  return "--join-timeout takes seconds, from 1 to 86400";
}
inline const char* take_join_count(JoinOptions& join, const char* text) noexcept {
  std::uint64_t number = 0;
  if (!ch::parse_number(text, 65536, number)) return "--join-ct takes a number from 0 to 65536";
  join.wanted = true;
  join.count = static_cast<std::uint32_t>(number);
  return nullptr;
}
inline const char* take_join_tag(JoinOptions& join, const char* tag) noexcept {
  if (!ch::is_tag(tag)) return "a tag has 1 to 64 visible ASCII characters, in --join-tag";
  join.wanted = true;
  join.tag = tag;
  return nullptr;
}

}  // namespace ch_run
