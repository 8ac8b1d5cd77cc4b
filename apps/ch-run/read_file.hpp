// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. A small text file, whole, into the arena.
#pragma once

#include "ch/kernel/fd.hpp"
#include "ch/types/arena.hpp"
#include "ch/types/ids.hpp"
#include "ch/types/result.hpp"

namespace ch_run {

/// Larger files are cut here; an environment can't be larger for execve anyway.
inline constexpr std::size_t largest_file = std::size_t{2} << 20;

/// The text of `path` below `directory`. A FIFO does not block: it reads as empty. `flags`
/// are added to the open. The descriptor is left to exec to close. ENOMEM: no room.
template <ch::kernel::Kernel K>
ch::Result<std::string_view> read_file(K& k, ch::Fd directory, const char* path, ch::Arena& arena,
                                       std::uint64_t flags = 0) noexcept {
  using namespace ch;
  const auto fd =
      lift(kernel::openat(k, directory, path, kernel::o_rdonly | kernel::o_nonblock | flags), path);
  if (!fd) return failure(fd.error());
  char* text = static_cast<char*>(arena.allocate(largest_file, 1));  // pages unused cost nothing
  if (text == nullptr) return failure({Errno::enomem, kernel::Call::read, StepIndex::none, path});
  std::size_t size = 0;
  for (std::size_t asked = 65536; size < largest_file;) {
    if (asked > largest_file - size) asked = largest_file - size;
    const auto n = lift(kernel::read(k, *fd, text + size, asked), path);
    if (!n) return failure(n.error());
    size += *n;
    if (*n < asked) break;  // a regular file that answers less has ended
  }
  return std::string_view(text, size);
}

}  // namespace ch_run
