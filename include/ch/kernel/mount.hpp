// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. Mounts by descriptor (kernel 5.2: open_tree, move_mount, fsopen; 5.12:
// mount_setattr) and by path (mount, umount2, pivot_root). A mount that is held by a descriptor and
// attached nowhere is called detached; it disappears when the descriptor is closed, which is why a
// failed launch leaves nothing behind. No allocation; safe between clone and exec.
// Source: man 2 of each call; Documentation/filesystems/mount_api.rst.
#pragma once

#include "ch/kernel/kernel.hpp"

namespace ch::kernel {

/// Copies the mount at `path` below `directory`, with all mounts beneath it if `flags` has
/// at_recursive, to a detached tree. EINVAL: the path lies in another mount namespace, or mounts
/// beneath it are locked to it (a container in a container) and at_recursive was not given.
template <Kernel K>
Returned<Fd> clone_tree(K& k, Fd directory, const char* path, unsigned flags) noexcept {
  return detail::make<Fd>(k, Call::open_tree, directory, path,
                          open_tree_clone | open_tree_cloexec | flags);
}

/// The same with `attr` changed on all that is copied, as mount_setattr does it. Kernel 6.15.
template <Kernel K>
Returned<Fd> clone_tree(K& k, Fd directory, const char* path, unsigned flags,
                        const MountAttr& attr) noexcept {
  return detail::make<Fd>(k, Call::open_tree_attr, directory, path,
                          open_tree_clone | open_tree_cloexec | flags, &attr, sizeof(MountAttr));
}

/// Attaches the tree that `tree` holds on top of the directory or file that `at`
/// holds. `at` may itself be in a detached tree from kernel 6.15 on (EINVAL before).
template <Kernel K>
Returned<void> move_mount(K& k, Fd tree, Fd at) noexcept {
  return detail::make<void>(k, Call::move_mount, tree, "", at, "",
                            move_mount_f_empty_path | move_mount_t_empty_path);
}

/// The same, onto a path in the process's own root.
template <Kernel K>
Returned<void> move_mount(K& k, Fd tree, const char* at) noexcept {
  return detail::make<void>(k, Call::move_mount, tree, "", Fd::cwd, at, move_mount_f_empty_path);
}

/// Changes attributes and propagation of the mount `tree`, and of all beneath it
/// with at_recursive, all or nothing. EPERM: clearing a flag that the host has locked. EBUSY:
/// setting read-only while a file is open for writing.
template <Kernel K>
Returned<void> mount_setattr(K& k, Fd tree, unsigned flags, const MountAttr& attr) noexcept {
  return detail::make<void>(k, Call::mount_setattr, tree, "", at_empty_path | flags, &attr,
                            sizeof(MountAttr));
}

/// Starts configuring a new file system of `type`. ENODEV: this kernel does not have it.
template <Kernel K>
Returned<Fd> fsopen(K& k, const char* type) noexcept {
  return detail::make<Fd>(k, Call::fsopen, type, fsopen_cloexec);
}

template <Kernel K>
Returned<void> fsconfig_set(K& k, Fd context, const char* key, const char* value) noexcept {
  return detail::make<void>(k, Call::fsconfig, context, fsconfig_set_string, key, value, 0);
}

template <Kernel K>
Returned<void> fsconfig_flag(K& k, Fd context, const char* key) noexcept {
  return detail::make<void>(k, Call::fsconfig, context, fsconfig_set_flag, key,
                            static_cast<const char*>(nullptr), 0);
}

template <Kernel K>
Returned<void> fsconfig_create(K& k, Fd context) noexcept {
  return detail::make<void>(k, Call::fsconfig, context, fsconfig_cmd_create,
                            static_cast<const char*>(nullptr), static_cast<const char*>(nullptr),
                            0);
}

/// A detached mount of the file system that `context` configured.
template <Kernel K>
Returned<Fd> fsmount(K& k, Fd context, std::uint64_t attributes) noexcept {
  return detail::make<Fd>(k, Call::fsmount, context, fsmount_cloexec, attributes);
}

/// mount(2): everything the calls above do, in one, by path.
template <Kernel K>
Returned<void> mount(K& k, const char* source, const char* target, const char* type,
                     std::uint64_t flags, const char* data = nullptr) noexcept {
  return detail::make<void>(k, Call::mount, source, target, type, flags, data);
}

template <Kernel K>
Returned<void> umount2(K& k, const char* target, unsigned flags) noexcept {
  return detail::make<void>(k, Call::umount2, target, flags);
}

/// Makes `new_root` the root mount and moves the old one to `put_old`; both may be
/// ".", which stacks the old root on the new one, ready for umount2(".", MNT_DETACH).
/// EINVAL: `new_root` is no mount point, or the current root is the initial ramfs,
/// which can't be moved; then see explain.
template <Kernel K>
Returned<void> pivot_root(K& k, const char* new_root, const char* put_old) noexcept {
  return detail::make<void>(k, Call::pivot_root, new_root, put_old);
}

}  // namespace ch::kernel
