// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. Where a container is assembled on kernels that can't do so detached: a small tmpfs
// mounted on the process's root directory. Paths from "/" do not lead there, and since it is
// unbindable, recursive binds of the host do not copy what is attached in it. It disappears with
// the old root, or is unmounted if the assembly starts over. Runs between clone and exec.
// Source: man 7 mount_namespaces, "MS_UNBINDABLE"; man 7 path_resolution ("/..").
#pragma once

#include "ch/execute/perform.hpp"

namespace ch::detail {

/// "/proc/self/fd/N": passes a descriptor to calls that only take a path.
class FdPath {
 public:
  explicit FdPath(Fd fd) noexcept { text_ << "/proc/self/fd/" << static_cast<int>(fd); }
  FdPath(Fd fd, const char* below) noexcept : FdPath(fd) { text_ << '/' << below; }
  [[nodiscard]] const char* c_str() const noexcept { return text_.c_str(); }

 private:
  TextBuffer<256> text_;
};

/// A detached mount of a new file system, of `size` if it takes one.
template <kernel::Kernel K>
Result<Fd> new_filesystem(K& k, const AssemblyState& a, const char* type,
                          ZString size = {}) noexcept {
  const auto opened = as_result(kernel::fsopen(k, type), type);
  if (!opened) return failure(opened.error());
  const ScopedFd context(k, a.descriptors, *opened);
  if (!size.empty())
    CHARLIE_TRY(as_result(kernel::fsconfig_set(k, context.get(), "size", size.c_str()), size));
  CHARLIE_TRY(as_result(kernel::fsconfig_create(k, context.get()), type));
  return as_result(
      kernel::fsmount(k, context.get(), kernel::mount_attr_nosuid | kernel::mount_attr_nodev),
      type);
}

/// Creates in the staging tmpfs the mount points that the assembly needs.
template <kernel::Kernel K>
Result<void> make_staging_points(K& k, AssemblyState& a) noexcept {
  for (const char* place : {"root", "scratch", "stage"})
    CHARLIE_TRY(as_result(kernel::mkdirat(k, a.staging, place, 0755), place));
  const auto file = as_result(kernel::openat(
      k, a.staging, "stage-file", kernel::o_wronly | kernel::o_creat | kernel::o_excl, 0644));
  if (!file) return failure(file.error());
  a.release(k, *file);
  return {};
}

/// Mounts the staging tmpfs by the mount API, for Assembly::attached.
template <kernel::Kernel K>
Result<void> mount_staging(K& k, AssemblyState& a) noexcept {
  const auto made = new_filesystem(k, a, "tmpfs");
  if (!made) return failure(made.error());
  ScopedFd staging(k, a.descriptors, *made);
  CHARLIE_TRY(as_result(
      kernel::mount_setattr(k, staging.get(), 0, {.propagation = kernel::ms_unbindable})));
  CHARLIE_TRY(as_result(kernel::move_mount(k, staging.get(), "/"), "/"));
  a.staging = staging.take();
  return make_staging_points(k, a);
}

/// Attaches a tree at a place in the staging tmpfs, on top of what is there already.
template <kernel::Kernel K>
Result<void> attach_in_staging(K& k, const AssemblyState& a, Fd tree, const char* place) noexcept {
  const auto at = as_result(kernel::openat(k, a.staging, place, kernel::o_path), place);
  if (!at) return failure(at.error());
  const ScopedFd mount_point(k, a.descriptors, *at);
  return as_result(kernel::move_mount(k, tree, mount_point.get()), place);
}

/// Detaches everything attached so far; the descriptors stay open. If this fails, assembly must not
/// begin again: the container would keep what is attached.
template <kernel::Kernel K>
Result<void> unmount_staging(K& k, const AssemblyState& a) noexcept {
  if (a.staging == Fd::none) return {};
  return as_result(kernel::umount2(k, FdPath(a.staging).c_str(), kernel::mnt_detach));
}

}  // namespace ch::detail
