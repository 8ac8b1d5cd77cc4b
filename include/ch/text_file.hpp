// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. A text file of any length that the arena has room for, whole. Source: man 2 read.
#pragma once

#include "ch/kernel/fd.hpp"
#include "ch/types/arena.hpp"
#include "ch/types/ids.hpp"
#include "ch/types/result.hpp"

namespace ch {

/// The most that is read of such a file: /dev/zero has no end.
inline constexpr std::size_t longest_text = std::size_t{64} << 20;

/// The text of `path` below `directory`, in `arena`, which keeps no more than it takes. Never
/// cut: ENOMEM if there is no room. A FIFO is read until its last writer closes it, however
/// slowly they write; with o_nonblock among `flags`, which are added to the open, it reads as
/// what is there at once. EFBIG: it is longer than longest_text. Other errors: as of open and
/// read, with the path.
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
      if (size > longest_text)
        return failure({Errno::efbig, kernel::Call::none, StepIndex::none, path});
      // What waits for nobody has ended where it gives less than asked for.
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
