// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. Making a mount point or a link inside an image, with the directories above. The
// place is found as a process in the image would find it, and then made name by name
// without following any link: a link that someone puts in the way meanwhile is an error,
// never a way out. Source: man 2 mkdirat, openat.
#pragma once

#include "ch/kernel/in_root.hpp"

namespace ch::kernel {

enum class MountPoint : std::uint8_t { directory, file };

/// Makes what is missing of `names` below `directory`: "/a/b/c" as locate writes them,
/// directories (0755) but for the last if that is to be a file. EEXIST never: what is
/// there stays. ENOTDIR, ELOOP: something other than a directory is in the way.
template <Kernel K>
Returned<void> make_names(K& k, Fd directory, std::string_view names, MountPoint kind) noexcept {
  Fd at = directory;
  Returned<void> done{};
  while (done.ok() && !names.empty()) {
    names.remove_prefix(1);  // the slash
    TextBuffer<257> name;
    name << head(names, names.find('/'));
    names = tail(names, name.view().size());
    if (names.empty() && kind == MountPoint::file) {
      const auto made = openat(k, at, name.c_str(), o_wronly | o_creat | o_excl | o_nofollow, 0644);
      if (made.ok()) (void)close(k, made.value());
      if (!made.ok() && made.error() != Errno::eexist) done = {made.raw, made.call};
      break;
    }
    const auto made = mkdirat(k, at, name.c_str(), 0755);
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

/// Makes a mount point at `path` as seen from inside `root`. Errors of locate (EXDEV: the
/// place lies on another mount, where nothing is ours to make) and make_names (EROFS,
/// EACCES). Allocates nothing; safe between clone and exec.
template <Kernel K>
[[gnu::noinline]] Returned<void> make_in_root(K& k, Fd root, const char* path, MountPoint kind) noexcept {
  TextBuffer<RootWalk::max_path> names;
  RootWalk walk;
  const auto located = walk.locate(k, root, path, names);
  if (!located.ok()) return located;
  return make_names(k, root, names.view(), kind);
}

/// Is `name` below `directory` (or `directory` itself, if `name` is empty) a symbolic link
/// with this target?
template <Kernel K>
bool is_link_to(K& k, Fd directory, const char* name, std::string_view target) noexcept {
  char found[RootWalk::max_path];
  const auto n = readlinkat(k, directory, name, found, sizeof found);
  return n.ok() && std::string_view(found, n.value()) == target;
}

/// Makes the symbolic link `path`, as seen from inside `root`, in the tree `layer`: that of
/// `root` itself, or one that will lie over it. Another link of that name in `layer` is
/// replaced. EEXIST: a file or directory of that name is in the way. Other errors: those of
/// locate and make_names. Allocates nothing; safe between clone and exec.
template <Kernel K>
Returned<void> make_link(K& k, Fd root, Fd layer, std::string_view path, const char* target) noexcept {
  TextBuffer<RootWalk::max_path> parent;
  parent << head(path, path.rfind('/')) << "/";
  TextBuffer<257> name;
  name << tail(path, path.rfind('/') + 1);
  TextBuffer<RootWalk::max_path> names;
  RootWalk walk;
  Returned<void> done = walk.locate(k, root, parent.c_str(), names);
  if (done.ok()) done = make_names(k, layer, names.view(), MountPoint::directory);
  if (!done.ok()) return done;
  const char* below = names.view().empty() ? "." : names.c_str();
  const auto directory = open_in_root(k, layer, below, o_path | o_directory);
  if (!directory.ok()) return {directory.raw, directory.call};
  done = symlinkat(k, target, directory.value(), name.c_str());
  if (done.error() == Errno::eexist && is_link_to(k, directory.value(), name.c_str(), target))
    done = {};
  char other[1];
  if (done.error() == Errno::eexist &&
      readlinkat(k, directory.value(), name.c_str(), other, sizeof other).ok()) {
    done = unlinkat(k, directory.value(), name.c_str());
    if (done.ok()) done = symlinkat(k, target, directory.value(), name.c_str());
  }
  (void)close(k, directory.value());
  return done;
}

}  // namespace ch::kernel
