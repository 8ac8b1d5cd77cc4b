// SPDX-License-Identifier: Apache-2.0
//
// Floor 2. Paths by role. A path means different things on the host, inside the
// image, and inside the small file system that holds generated files; mixing them up
// is how containers leak. So each role is a type, and only the executor, which knows where each
// kind starts, opens them.
#pragma once

#include "ch/types/ids.hpp"
#include "ch/types/text.hpp"

namespace ch {

/// A NUL-terminated path in the role that `Role` names. A view: storage must outlive it.
template <class Role>
struct Path {
  ZString text{};

  constexpr Path() noexcept = default;
  constexpr explicit Path(ZString path) noexcept : text(path) {}
  constexpr explicit Path(const char* path) noexcept : text(path) {}
  [[nodiscard]] constexpr const char* c_str() const noexcept { return text.c_str(); }
  [[nodiscard]] constexpr std::string_view view() const noexcept { return text.view(); }
  [[nodiscard]] constexpr bool empty() const noexcept { return text.empty(); }
  friend constexpr bool operator==(Path, Path) noexcept = default;
};

/// As the caller of the tool would open it.
using HostPath = Path<struct HostRole>;
/// As a process in the container would open it; links are the image's own.
using ImagePath = Path<struct ImageRole>;
/// Relative to the scratch file system, which holds generated files. Contains no links.
using ScratchPath = Path<struct ScratchRole>;

/// What to do if a source or a mount point does not exist.
enum class IfMissing : std::uint8_t {
  fail,    // an error that names it
  skip,    // the container does without
  create,  // a missing mount point is made, in the image only if that is writable; a
           // missing source is an error
};

/// For binds of what only some hosts and some images have.
inline constexpr IfMissing if_both_exist = IfMissing::skip;

/// A host file or tree that the user wants inside.
struct UserBind {
  HostPath source{};
  ImagePath destination{};
  Access access = Access::read_write;
};

/// A symbolic link that the user wants in the container.
struct UserLink {
  ZString target{};
  ImagePath destination{};
};

/// A small read-only file that the user wants in the container.
struct UserFile {
  std::string_view content{};
  ImagePath destination{};
};

}  // namespace ch
