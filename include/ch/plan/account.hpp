// SPDX-License-Identifier: Apache-2.0
//
// Floor 3. Names for numbers: the lines of /etc/passwd and /etc/group, read by plain
// system calls because libc's way (NSS) allocates, locks and loads plug-ins. Files of
// any size in a fixed buffer. Source: man 5 passwd, man 5 group.
#pragma once

#include "ch/kernel/fd.hpp"
#include "ch/types/arena.hpp"
#include "ch/types/ids.hpp"

namespace ch {

/// One account as passwd(5) has it; empty fields where the file has no such id.
struct Account {
  ZString name{};
  ZString home{};
};

namespace detail {

/// Field `n` (from 0) of a line whose fields are separated by colons.
constexpr std::string_view colon_field(std::string_view line, int n) noexcept {
  for (; n > 0; --n) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return {};
    line.remove_prefix(colon + 1);
  }
  return head(line, line.find(':'));
}

/// Is field 2 of `line` the number that `digits` spells? Most lines of a large file are
/// asked just this.
constexpr bool has_id(std::string_view line, std::string_view digits) noexcept {
  const char* at = line.data();
  const char* const end = at + line.size();
  for (int colons = 2; colons > 0; ++at) {
    if (at == end) return false;
    if (*at == ':') --colons;
  }
  for (const char digit : digits)
    if (at == end || *at++ != digit) return false;
  return at == end || *at == ':';
}

/// Calls `use(line)` for each line of the file until it answers true. Lines that do
/// not fit the buffer are passed over: no account line is that long.
template <kernel::Kernel K, class Use>
void each_line(K& k, const char* path, Use use,
               Descriptors descriptors = Descriptors::close_now) noexcept {
  const auto fd = kernel::openat(k, Fd::cwd, path, kernel::o_rdonly | kernel::o_nonblock);
  if (!fd.ok()) return;
  char buffer[8192];
  std::size_t held = 0;
  bool skipping = false;
  for (bool done = false;;) {
    const auto n = kernel::read(k, fd.value(), buffer + held, sizeof buffer - held);
    if (!n.ok() || n.value() == 0) {
      if (held > 0 && !skipping) (void)use(std::string_view(buffer, held));
      break;
    }
    std::string_view text(buffer, held + n.value());
    for (auto end = text.find('\n'); end != std::string_view::npos && !done;
         end = text.find('\n')) {
      if (!skipping) done = use(head(text, end));
      skipping = false;
      text.remove_prefix(end + 1);
    }
    if (done) break;  // nothing of the rest is wanted
    if (text.size() == sizeof buffer) {
      skipping = true;
      text = {};
    }
    held = text.size();
    for (std::size_t i = 0; i < held; ++i) buffer[i] = text[i];
  }
  if (descriptors == Descriptors::close_now) (void)kernel::close(k, fd.value());
}

}  // namespace detail

/// The account of `id` in the file `path`. Empty if there is none, the file can't be
/// read or the arena is full: a name is a courtesy, never a reason to fail.
template <kernel::Kernel K>
[[nodiscard]] Account find_account(K& k, Arena& arena, std::uint32_t id,
                                   const char* path = "/etc/passwd",
                                   Descriptors descriptors = Descriptors::close_now) noexcept {
  Account found;
  TextBuffer<16> digits;
  digits << id;
  const auto use = [&](std::string_view line) {
    if (!detail::has_id(line, digits.view())) return false;
    const char* name = arena.join(detail::colon_field(line, 0));
    const char* home = arena.join(detail::colon_field(line, 5));
    if (name != nullptr) found.name = name;
    if (home != nullptr) found.home = home;
    return true;
  };
  detail::each_line(k, path, use, descriptors);
  return found;
}

}  // namespace ch
