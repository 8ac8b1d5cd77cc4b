// SPDX-License-Identifier: Apache-2.0
//
// Floor 3a. Names for numbers: the lines of /etc/passwd and /etc/group, read by plain system calls
// because libc's NSS allocates, locks and loads plug-ins. Reads files of any size with a fixed
// buffer. Source: man 5 passwd, man 5 group.
#pragma once

#include "ch/kernel/fd.hpp"
#include "ch/types/arena.hpp"
#include "ch/types/ids.hpp"
#include "ch/types/result.hpp"

namespace ch {

/// One account of passwd(5); the fields are empty if the file lacks the id.
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

/// The line of `text` whose field 2 (from 0) is `digits`; empty if there is none. Searches for the
/// digits instead of parsing every line, which skips most of a large file quickly.
constexpr std::string_view find_account_line(std::string_view text,
                                             std::string_view digits) noexcept {
  for (std::size_t at = 0; (at = text.find(digits, at)) != std::string_view::npos; ++at) {
    const std::string_view behind = tail(text, at + digits.size());
    if (at == 0 || text[at - 1] != ':' ||
        !(behind.empty() || behind[0] == ':' || behind[0] == '\n'))
      continue;
    const auto before = head(text, at - 1);
    const auto begin = before.rfind('\n') + 1;  // 0 if there is none
    const auto colon = before.find(':', begin);
    if (colon == std::string_view::npos || before.find(':', colon + 1) != std::string_view::npos)
      continue;
    const auto line = tail(text, begin);
    return head(line, line.find('\n'));
  }
  return {};
}

/// A reference to a function that takes a chunk of text and returns true to stop. Type-erased, so
/// that the loop that reads files is compiled once and not once per caller.
class ChunkCallback {
 public:
  template <class Use>
  explicit ChunkCallback(const Use& use) noexcept
      : use_(&use), call_([](const void* u, std::string_view text) noexcept -> bool {
          return (*static_cast<const Use*>(u))(text);
        }) {}
  [[nodiscard]] bool operator()(std::string_view text) const noexcept { return call_(use_, text); }

 private:
  const void* use_;
  bool (*call_)(const void*, std::string_view) noexcept;
};

/// Calls `use(text)` with one chunk of the file after the other, each of whole lines, until it
/// returns true. The buffer is small, since each page of stack costs a launch a page fault; a line
/// that does not fit, such as that of a group with hundreds of members, is cut after the last field
/// that does. Returns the error of open or read, with code `none` if there was none.
template <kernel::Kernel K>
Error for_each_chunk(K& k, const char* path, ChunkCallback use,
                     Descriptors descriptors = Descriptors::close_now) noexcept {
  const auto fd = kernel::openat(k, Fd::cwd, path, kernel::o_rdonly | kernel::o_nonblock);
  if (!fd.ok()) return {fd.error(), fd.call, StepIndex::none, path};
  Error problem;
  char buffer[2048];
  std::size_t held = 0;
  bool inside = false;  // a line that did not fit, and whose rest is skipped
  for (bool done = false; !done;) {
    const auto n = kernel::read(k, fd.value(), buffer + held, sizeof buffer - held);
    const bool ended = !n.ok() || n.value() == 0;
    if (!n.ok()) problem = {n.error(), n.call, StepIndex::none, path};
    std::string_view text(buffer, held + (ended ? 0 : n.value()));
    if (inside) {
      const auto line = text.find('\n');
      inside = line == std::string_view::npos;
      text = inside ? std::string_view() : tail(text, line + 1);
    }
    std::size_t whole = ended ? text.size() : text.rfind('\n') + 1;  // 0 if there is no newline
    if (whole == 0 && text.size() == sizeof buffer) {
      inside = true;
      done = use(head(text, text.rfind(':')));
      text = {};
    }
    if (whole > 0) done = use(head(text, whole));
    done = done || ended;
    text.remove_prefix(whole);
    held = text.size();
    for (std::size_t i = 0; i < held; ++i) buffer[i] = text[i];
  }
  if (descriptors == Descriptors::close_now) (void)kernel::close(k, fd.value());
  return problem;
}

/// The same, line by line, without newlines.
template <kernel::Kernel K, class Use>
Error for_each_line(K& k, const char* path, Use use) noexcept {
  const auto lines = [&](std::string_view text) {
    while (!text.empty()) {
      const auto end = text.find('\n');
      if (use(head(text, end))) return true;
      text = end == std::string_view::npos ? std::string_view() : tail(text, end + 1);
    }
    return false;
  };
  return for_each_chunk(k, path, ChunkCallback(lines));
}

}  // namespace detail

/// The account of `id` in the file `path`. Empty if there is none, the file can't be
/// read or the arena is full: a missing name is never a reason to fail.
template <kernel::Kernel K>
[[nodiscard]] Account find_account(K& k, Arena& arena, std::uint32_t id,
                                   const char* path = "/etc/passwd",
                                   Descriptors descriptors = Descriptors::close_now) noexcept {
  Account found;
  TextBuffer<16> digits;
  digits << id;
  const auto use = [&](std::string_view text) {
    const std::string_view line = detail::find_account_line(text, digits.view());
    if (line.empty()) return false;
    const char* name = arena.join(detail::colon_field(line, 0));
    const char* home = arena.join(detail::colon_field(line, 5));
    if (name != nullptr) found.name = name;
    if (home != nullptr) found.home = home;
    return true;
  };
  detail::for_each_chunk(k, path, detail::ChunkCallback(use), descriptors);
  return found;
}

}  // namespace ch
