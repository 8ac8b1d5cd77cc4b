// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. Making a mount point or a link inside an image, with the directories above. The path is
// resolved as a process in the image would resolve it, and then created component by component
// without following any link: a link that someone creates in between is an error, never a way out.
// Source: man 2 mkdirat, openat.
#pragma once

#include "ch/kernel/in_root.hpp"

namespace ch::kernel {

enum class MountPoint : std::uint8_t { directory, file };

/// How many names "/a/b/c" has: 3.
[[nodiscard]] constexpr unsigned count_names(std::string_view names) noexcept {
  unsigned count = 0;
  for (const char c : names) count += c == '/' ? 1U : 0U;
  return count;
}

/// Makes the missing ones of `names` ("/a/b/c", as locate writes them) below `directory`:
/// directories (0755), except for the last if `kind` is file. Never EEXIST: what exists is left
/// alone. ENOTDIR, ELOOP: something other than a directory is in the way. If `first` is 0 and a
/// name was missing, sets it to the number of the first such name, counted from 1.
template <Kernel K>
Returned<void> make_names(K& k, Fd directory, std::string_view names, MountPoint kind,
                          std::uint8_t& first) noexcept {
  Fd at = directory;
  Returned<void> done{};
  for (std::uint8_t number = 1; done.ok() && !names.empty(); ++number) {
    names.remove_prefix(1);  // the slash
    TextBuffer<257> name;
    name << head(names, names.find('/'));
    names = tail(names, name.view().size());
    if (names.empty() && kind == MountPoint::file) {
      const auto made = openat(k, at, name.c_str(), o_wronly | o_creat | o_excl | o_nofollow, 0644);
      if (made.ok()) (void)close(k, made.value());
      if (made.ok() && first == 0) first = number;
      if (!made.ok() && made.error() != Errno::eexist) done = {made.raw, made.call};
      break;
    }
    const auto made = mkdirat(k, at, name.c_str(), 0755);
    if (made.ok() && first == 0) first = number;
    if (!made.ok() && made.error() != Errno::eexist) done = made;
    if (!done.ok() || names.empty()) break;
    const auto next = openat(k, at, name.c_str(), o_path | o_directory | o_nofollow);
    if (at != directory) (void)close(k, at);
    at = next.ok() ? next.value() : directory;
    done = {next.ok() ? 0 : next.raw, next.call};
  }
  if (at != directory) (void)close(k, at);
  return done;
}

/// Makes a mount point at `path` as seen from inside `root`. Errors: those of locate (EXDEV: the
/// path lies on another mount, where we create nothing) and make_names (EROFS, EACCES). Allocates
/// nothing; safe between clone and exec. `first` as in make_names.
template <Kernel K>
[[gnu::noinline]] Returned<void> make_in_root(K& k, Fd root, const char* path, MountPoint kind,
                                              std::uint8_t& first) noexcept {
  TextBuffer<RootWalk::max_path> names;
  RootWalk walk;
  const auto located = walk.locate(k, root, path, names);
  if (!located.ok()) return located;
  return make_names(k, root, names.view(), kind, first);
}

/// Noted instead of a number for something that must not be removed again: a link that replaced
/// another, and whatever others may be using by now.
inline constexpr std::uint8_t must_stay = 255;

/// Where a link `path` is, or will be, as seen from inside `root`: names as locate writes them,
/// following links except for the last.
template <Kernel K>
Returned<void> locate_link(K& k, Fd root, std::string_view path, TextWriter& names) noexcept {
  TextBuffer<RootWalk::max_path> parent;
  parent << head(path, path.rfind('/')) << '/';
  RootWalk walk;
  const auto located = walk.locate(k, root, parent.c_str(), names);
  names << '/' << tail(path, path.rfind('/') + 1);
  if (located.ok() && names.truncated())
    return {-static_cast<long>(Errno::enametoolong), Call::symlinkat};
  return located;
}

/// Is `name` below `directory` (or `directory` itself, if `name` is empty) a symbolic link
/// with this target?
template <Kernel K>
bool is_link_to(K& k, Fd directory, const char* name, std::string_view target) noexcept {
  char found[RootWalk::max_path];
  const auto n = readlinkat(k, directory, name, found, sizeof found);
  return n.ok() && std::string_view(found, n.value()) == target;
}

/// Is `path`, as seen from inside `root`, on the same mount as `root`? EXDEV: it is on another,
/// where we create nothing. Does not follow a link as the last component.
template <Kernel K>
[[gnu::noinline]] Returned<void> is_on_root(K& k, Fd root, std::string_view path) noexcept {
  TextBuffer<RootWalk::max_path> names;
  return locate_link(k, root, path, names);
}

/// Makes the symbolic link `path`, as seen from inside `root`, in the tree `layer`: `root` itself,
/// or the upper layer of a future overlay. Another link of that name in `layer` is replaced.
/// EEXIST: a file or directory of that name is in the way. Other errors: those of locate and
/// make_names. Allocates nothing; safe between clone and exec. `first` as in make_names, or
/// `must_stay`.
template <Kernel K>
Returned<void> make_link(K& k, Fd root, Fd layer, std::string_view path, const char* target,
                         std::uint8_t& first) noexcept {
  TextBuffer<RootWalk::max_path> names;
  Returned<void> done = locate_link(k, root, path, names);
  const std::string_view parent = head(names.view(), names.view().rfind('/'));
  if (done.ok()) done = make_names(k, layer, parent, MountPoint::directory, first);
  if (!done.ok()) return done;
  TextBuffer<RootWalk::max_path> below;
  below << parent << '/';
  const auto directory = open_in_root(k, layer, below.c_str(), o_path | o_directory);
  if (!directory.ok()) return {directory.raw, directory.call};
  const char* const name = names.c_str() + parent.size() + 1;
  done = symlinkat(k, target, directory.value(), name);
  if (done.ok() && first == 0) first = static_cast<std::uint8_t>(count_names(names.view()));
  if (done.error() == Errno::eexist && is_link_to(k, directory.value(), name, target)) done = {};
  char other[1];
  if (done.error() == Errno::eexist &&
      readlinkat(k, directory.value(), name, other, sizeof other).ok()) {
    done = unlinkat(k, directory.value(), name);
    if (done.ok()) {
      first = must_stay;
      done = symlinkat(k, target, directory.value(), name);
    }
  }
  (void)close(k, directory.value());
  return done;
}

}  // namespace ch::kernel
