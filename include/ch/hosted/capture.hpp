// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. Runs a program in a container and returns what it wrote, with limits on time and size.
#pragma once

#include "ch/hosted/spawn.hpp"

namespace ch {

/// Why a program was killed before its end, if it was.
enum class Cut : std::uint8_t { no, timeout, size };

/// What a program wrote, and how it ended.
struct Captured {
  std::string out{};
  std::string err{};
  ExitStatus end{};
  Cut cut = Cut::no;

  /// Did it end by itself, with status 0?
  [[nodiscard]] bool ok() const noexcept { return cut == Cut::no && end == ExitStatus{}; }
};

namespace detail {

/// Reads both streams to their ends, or to a limit.
inline void collect(Child& child, const CaptureOptions& options, Captured& captured) {
  std::optional<Deadline> deadline;
  if (options.timeout.nanoseconds != 0) deadline.emplace(options.timeout);
  pollfd streams[] = {{child.out(), POLLIN, 0}, {child.err(), POLLIN, 0}};
  std::string* const texts[] = {&captured.out, &captured.err};
  while (streams[0].fd >= 0 || streams[1].fd >= 0) {
    const int left_ms = deadline ? deadline->left_ms() : -1;
    const int ready = ::poll(streams, 2, left_ms);
    if (ready < 0) continue;  // EINTR
    for (int i = 0; i < 2; ++i)
      if (streams[i].revents != 0 && !read_some(streams[i].fd, *texts[i])) streams[i].fd = -1;
    if (captured.out.size() + captured.err.size() > options.limit) captured.cut = Cut::size;
    if (left_ms == 0) captured.cut = Cut::timeout;
    if (captured.cut != Cut::no) return;
  }
  // Both are closed, but the program may still be running.
  if (!deadline) return;
  const auto ended = child.wait_for(deadline->left());
  if (ended && !*ended) captured.cut = Cut::timeout;
}

}  // namespace detail

/// Runs `command` in `box` as run does, and returns its output and errors once both streams are
/// closed and it has ended: a background process that still holds its output keeps capture waiting.
/// Beyond a limit the program is killed; what it had written by then is returned.
///
///     const auto got = ch::capture(ch::image("/img"), {"nvidia-smi", "-L"}, {.timeout = 5s});
///     if (got && got->ok()) std::cout << got->out;
template <class B>
[[nodiscard]] Outcome<Captured> capture(const B& box, const Command& command,
                                        const CaptureOptions& options = {}) {
  Options start;
  start.in = options.input.empty() ? Stream::null() : Stream::text(options.input);
  start.out = Stream::pipe();
  start.err = options.err;
  start.environment = options.environment;
  start.unset = options.unset;
  start.inherit = options.inherit;
  start.directory = options.directory;
  start.descriptors = options.descriptors;
  Outcome<Child> child = spawn(box, command, start);
  if (!child) return child.error();
  Captured captured;
  detail::collect(*child, options, captured);
  if (captured.cut != Cut::no) (void)child->kill(SIGKILL);
  const Outcome<ExitStatus> end = child->wait();
  if (!end) return end.error();
  captured.end = *end;
  return captured;
}

}  // namespace ch
