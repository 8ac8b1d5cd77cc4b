// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. Reads a whole text file, of any length that fits into the arena. Source: man 2 read.
#pragma once

#include "ch/kernel/fd.hpp"
#include "ch/types/arena.hpp"
#include "ch/types/ids.hpp"
#include "ch/types/result.hpp"

namespace ch {

/// Larger files are refused: /dev/zero has no end.
inline constexpr std::size_t max_text_file_size = std::size_t{64} << 20;

/// The text of `path` below `directory`, in `arena`, without slack. Never truncated: ENOMEM if
/// there is no room. `flags` are added to those of open. A FIFO is read until its last writer
/// closes it; with o_nonblock, only what is available at once is read. EFBIG: longer than
/// max_text_file_size. Other errors: those of open and read, with the path.
template <kernel::Kernel K>
[[nodiscard]] Result<std::string_view> read_text_file(
    K& k, Fd directory, const char* path, Arena& arena, std::uint64_t flags = 0,
    Descriptors descriptors = Descriptors::close_now) noexcept {
  const auto fd = as_result(kernel::openat(k, directory, path, kernel::o_rdonly | flags), path);
  if (!fd) return failure(fd.error());
  const auto read_all = [&]() noexcept -> Result<std::string_view> {
    std::size_t room = 65536;
    auto* text = static_cast<char*>(arena.allocate(room, 1));
    for (std::size_t size = 0; text != nullptr;) {
      const auto n = kernel::read(k, *fd, text + size, room - size);
      if (n.error() == Errno::eintr) continue;
      if (!n.ok()) return failure(as_result(n, path).error());
      size += n.value();
      if (size > max_text_file_size)
        return failure({Errno::efbig, kernel::Call::none, StepIndex::none, path});
      // Without blocking, a short read means the end.
      const bool ends = (flags & kernel::o_nonblock) != 0 ? size < room : n.value() == 0;
      if (ends) return std::string_view(arena.resize(text, room, size), size);
      if (size < room) continue;
      text = arena.resize(text, room, 2 * room);
      room *= 2;
    }
    return failure({Errno::enomem, kernel::Call::read, StepIndex::none, path});
  };
  const Result<std::string_view> text = read_all();
  if (descriptors == Descriptors::close_now) (void)kernel::close(k, *fd);
  return text;
}

}  // namespace ch
