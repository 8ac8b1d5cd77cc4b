// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. What each mount step does, in the three ways of Assembly. Normally the whole tree is
// assembled detached: sources are cloned, mount points are looked up inside the image only
// (in_root.hpp), and one move_mount and pivot_root make it the root. Runs between clone and exec.
// Source: man 2 mount_setattr, pivot_root; open_tree, move_mount in mount_api.rst.
#pragma once

#include "ch/execute/perform_classic.hpp"
#include "ch/kernel/make_in_root.hpp"
#include "ch/plan/mount_point.hpp"

namespace ch {
namespace detail {

/// The mount point inside the image, or an error that names it.
template <kernel::Kernel K>
Result<Fd> open_mount_point(K& k, const AssemblyState& a, ImagePath destination) noexcept {
  return as_result(kernel::open_in_root(k, a.root, destination.c_str(), kernel::o_path),
                   destination.text);
}

/// The kind of mount point that `source`/`path` needs. A missing source is not reported here but
/// when it is used.
template <kernel::Kernel K>
kernel::MountPoint mount_point_for(K& k, Fd source, const char* path) noexcept {
  kernel::Statx status;
  const bool is_file = kernel::statx(k, source, path, kernel::at_empty_path, status).ok() &&
                       (status.mode & kernel::s_ifmt) != kernel::s_ifdir;
  return is_file ? kernel::MountPoint::file : kernel::MountPoint::directory;
}

/// Are both on one file system? False if that can't be determined.
template <kernel::Kernel K>
bool on_one_filesystem(K& k, Fd one, Fd other) noexcept {
  kernel::Statx a;
  kernel::Statx b;
  return kernel::statx(k, one, "", kernel::at_empty_path, a).ok() &&
         kernel::statx(k, other, "", kernel::at_empty_path, b).ok() && a.dev_major == b.dev_major &&
         a.dev_minor == b.dev_minor;
}

/// Calls `make(directory, path)` for the own file system that `destination` is in, and the rest of
/// that path. False if it is in none, or if a later bind covers that.
template <kernel::Kernel K, class Make>
Result<bool> make_in_own(K& k, const AssemblyState& a, ImagePath destination, Make make) noexcept {
  const OwnPlace own = own_place(a.steps.first(a.index), destination.text);
  if (own.directory.empty()) return false;
  const auto opened = open_mount_point(k, a, ImagePath(own.directory));
  if (!opened) return failure(opened.error());
  const ScopedFd directory(k, a.descriptors, *opened);
  const bool is_own = on_one_filesystem(k, directory.get(), a.scratch) ||
                      on_one_filesystem(k, directory.get(), a.own_filesystem);
  if (!is_own) return false;
  CHARLIE_TRY(as_result(make(directory.get(), own.rest), destination.text));
  return true;
}

/// Makes the launch start over with an overlay, to create `place` in it. Useless if `place` is on
/// another mount (EXDEV).
template <kernel::Kernel K>
Result<void> request_overlay(K& k, AssemblyState& a, ImagePath place) noexcept {
  const auto ours = kernel::is_on_root(k, a.root, place.view());
  if (ours.error() == Errno::exdev) return as_result(ours, place.text);
  a.overlay_requested = a.overlay_requested || a.overlay_allowed;
  return {};
}

/// Notes that the step has created something in a tree that other processes may be using: it is not
/// removed if the launch fails, since another process may depend on it by then. (Removing a mount
/// point removes the mounts that other processes have there.)
inline void note_shared(AssemblyState& a, std::uint8_t made) noexcept {
  if (made != 0 && !a.in_memory) a.note_for(a.index) = kernel::must_stay;
}

/// Opens the mount point for `source`/`path`. A missing one may be created: in a file system of
/// ours, in the image if that is writable, else by starting over with an overlay (execute.hpp).
template <kernel::Kernel K>
Result<Fd> find_or_make_mount_point(K& k, AssemblyState& a, ImagePath destination,
                                    IfMissing if_missing, Fd source, const char* path) noexcept {
  Result<Fd> at = open_mount_point(k, a, destination);
  if (at || at.error().code != Errno::enoent || if_missing != IfMissing::create) return at;
  const kernel::MountPoint kind = mount_point_for(k, source, path);
  std::uint8_t first = 0;
  const auto own = make_in_own(k, a, destination, [&](Fd directory, ZString rest) {
    return kernel::make_in_root(k, directory, rest.c_str(), kind, first);
  });
  if (!own) return failure(own.error());
  if (*own) return open_mount_point(k, a, destination);
  if (a.access == Access::read_only) {
    CHARLIE_TRY(request_overlay(k, a, destination));
    return at;
  }
  const auto made = as_result(kernel::make_in_root(k, a.root, destination.c_str(), kind, first),
                              destination.text);
  note_shared(a, first);
  if (!made) return failure(made.error());
  return open_mount_point(k, a, destination);
}

/// A copy of the tree at `path` below `source`, with `attributes` set recursively: by one call, or
/// by two if the kernel or a filter does not know that one.
template <kernel::Kernel K>
Result<Fd> clone_with(K& k, const AssemblyState& a, Fd source, ZString path, unsigned flags,
                      const kernel::MountAttr& attributes, ZString name) noexcept {
  if (a.mode == Assembly::detached) {
    const auto cloned = kernel::clone_tree(k, source, path.c_str(), flags, attributes);
    if (cloned.error() != Errno::enosys && cloned.error() != Errno::eperm)
      return as_result(cloned, name);
  }
  const auto cloned = as_result(kernel::clone_tree(k, source, path.c_str(), flags), name);
  if (!cloned) return cloned;
  ScopedFd tree(k, a.descriptors, *cloned);
  CHARLIE_TRY(
      as_result(kernel::mount_setattr(k, tree.get(), kernel::at_recursive, attributes), name));
  return tree.take();
}

/// Are these the same directory? If statx fails, yes.
template <kernel::Kernel K>
bool is_same(K& k, Fd one, Fd other) noexcept {
  kernel::Statx a;
  kernel::Statx b;
  if (!kernel::statx(k, one, "", kernel::at_empty_path, a).ok() ||
      !kernel::statx(k, other, "", kernel::at_empty_path, b).ok())
    return true;
  return a.ino == b.ino && a.dev_major == b.dev_major && a.dev_minor == b.dev_minor;
}

/// Does `error` mean that source or mount point is missing, or of the wrong kind?
[[nodiscard]] constexpr bool is_missing(const Error& error) noexcept {
  return error.code == Errno::enoent || error.code == Errno::enotdir;
}

/// move_mount, with ENOTDIR if only one of the two is a directory; the kernel returns EINVAL for
/// that, as for much else.
template <kernel::Kernel K>
Result<void> attach(K& k, Fd tree, Fd mount_point, ZString destination) noexcept {
  auto moved = kernel::move_mount(k, tree, mount_point);
  if (moved.error() == Errno::einval &&
      mount_point_for(k, tree, "") != mount_point_for(k, mount_point, ""))
    moved.raw = -static_cast<long>(Errno::enotdir);
  return as_result(moved, destination);
}

/// Binds `source`/`path`, with the mounts beneath it, at `destination`.
template <kernel::Kernel K>
Result<void> bind(K& k, AssemblyState& a, Fd source, ZString path, ImagePath destination,
                  Access access, IfMissing if_missing) noexcept {
  if (a.mode == Assembly::classic) {
    const auto at = find_or_make_mount_point(k, a, destination, if_missing, source, path.c_str());
    if (!at) return failure(at.error());
    const ScopedFd mount_point(k, a.descriptors, *at);
    return bind_classic(k, a, source, path, mount_point.get(), destination.text, access);
  }
  constexpr unsigned flags = kernel::at_recursive;
  const auto cloned =
      access == Access::read_only
          ? clone_with(k, a, source, path, flags, {.attr_set = kernel::mount_attr_rdonly}, path)
          : as_result(kernel::clone_tree(k, source, path.c_str(), flags), path);
  if (!cloned) return failure(cloned.error());
  const ScopedFd tree(k, a.descriptors, *cloned);
  const auto at = find_or_make_mount_point(k, a, destination, if_missing, tree.get(), "");
  if (!at) return failure(at.error());
  const ScopedFd mount_point(k, a.descriptors, *at);
  return attach(k, tree.get(), mount_point.get(), destination.text);
}

}  // namespace detail

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState&, const step::MakePrivate&) noexcept {
  return as_result(kernel::mount(k, nullptr, "/", nullptr, kernel::ms_rec | kernel::ms_private),
                   "/");
}

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState& a, const step::OpenImage& s) noexcept {
  a.image = s.image;
  a.access = s.access;
  const char* const path = s.by == FoundBy::path ? s.image.c_str() : ".";
  const auto opened = as_result(
      kernel::openat(k, Fd::cwd, path, kernel::o_path | kernel::o_directory), s.image.text);
  if (!opened) return failure(opened.error());
  a.image_directory = *opened;
  if (s.directory != Fd::none && !detail::is_same(k, s.directory, a.image_directory))
    return failure({Errno::estale, kernel::Call::openat, StepIndex::none, s.image.text});
  if (a.mode == Assembly::classic) return detail::attach_image_classic(k, a, s);
  const kernel::MountAttr attributes{
      .attr_set = kernel::mount_attr_nosuid |
                  (s.access == Access::read_only ? kernel::mount_attr_rdonly : 0)};
  const auto tree =
      detail::clone_with(k, a, a.image_directory, "", kernel::at_empty_path | kernel::at_recursive,
                         attributes, s.image.text);
  if (!tree) return failure(tree.error());
  a.root = *tree;
  if (a.mode == Assembly::detached) return {};
  CHARLIE_TRY(detail::mount_staging(k, a));
  return detail::attach_in_staging(k, a, a.root, "root");
}

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState& a, const step::MakeScratch& s) noexcept {
  if (a.mode == Assembly::classic) return detail::make_scratch_classic(k, a, s);
  const auto made = detail::new_filesystem(k, a, "tmpfs", s.size);
  if (!made) return failure(made.error());
  a.scratch = *made;
  if (a.mode == Assembly::detached) return {};
  return detail::attach_in_staging(k, a, a.scratch, "scratch");
}

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState& a, const step::MakeScratchDirectory& s) noexcept {
  return as_result(kernel::mkdirat(k, a.scratch, s.path.c_str(), 0755), s.path.text);
}

namespace detail {

/// May a file have `size` bytes? A write beyond `ulimit -f` would kill the process by SIGXFSZ, even
/// that of a library's caller, so it is not tried. The limit is read once; if that fails, there is
/// none.
template <kernel::Kernel K>
bool fits_file_size_limit(K& k, AssemblyState& a, std::size_t size) noexcept {
  if (!a.knows_file_size) (void)kernel::getrlimit(k, kernel::rlimit_fsize, a.file_size);
  a.knows_file_size = true;
  return size <= a.file_size.soft;
}

}  // namespace detail

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState& a, const step::WriteScratchFile& s) noexcept {
  if (!detail::fits_file_size_limit(k, a, s.content.size()))
    return failure({Errno::efbig, kernel::Call::none, StepIndex::none, s.path.text});
  const auto opened =
      as_result(kernel::openat(
                    k, a.scratch, s.path.c_str(),
                    kernel::o_wronly | kernel::o_creat | kernel::o_excl | kernel::o_nofollow, 0644),
                s.path.text);
  if (!opened) return failure(opened.error());
  const ScopedFd file(k, a.descriptors, *opened);
  for (std::string_view rest = s.content; !rest.empty();) {
    const auto n = kernel::write(k, file.get(), rest.data(), rest.size());
    if (!n.ok()) return as_result(kernel::Returned<void>{n.raw, n.call}, s.path.text);
    rest.remove_prefix(n.value() < rest.size() ? n.value() : rest.size());
  }
  return {};
}

namespace detail {

/// Does the link exist already, with the right target?
struct LinkState {
  bool exists = false;
  Error error{};  // if not: nothing there (ENOENT), something else (EEXIST), or no access
};

template <kernel::Kernel K>
LinkState look_for_link(K& k, const AssemblyState& a, const step::MakeLink& s) noexcept {
  const char* path = s.destination.c_str();
  constexpr std::uint64_t flags = kernel::o_path | kernel::o_nofollow;
  const auto opened = as_result(kernel::open_in_root(k, a.root, path, flags), s.destination.text);
  if (!opened) return {false, opened.error()};
  const ScopedFd found(k, a.descriptors, *opened);
  if (kernel::is_link_to(k, found.get(), "", s.target.view())) return {true, {}};
  return {false, {Errno::eexist, kernel::Call::symlinkat, StepIndex::none, s.destination.text}};
}

}  // namespace detail

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState& a, const step::MakeLink& s) noexcept {
  const auto state = detail::look_for_link(k, a, s);
  if (state.exists) return {};
  if (state.error.code != Errno::enoent && state.error.code != Errno::eexist)
    return failure(state.error);
  std::uint8_t first = 0;
  const auto own = detail::make_in_own(k, a, s.destination, [&](Fd directory, ZString rest) {
    return kernel::make_link(k, directory, directory, rest.view(), s.target.c_str(), first);
  });
  if (!own) return failure(own.error());
  if (*own) return {};
  if (a.access == Access::read_only) {
    CHARLIE_TRY(detail::request_overlay(k, a, s.destination));
    return failure(state.error);
  }
  const auto made =
      as_result(kernel::make_link(k, a.root, a.root, s.destination.view(), s.target.c_str(), first),
                s.destination.text);
  detail::note_shared(a, first);
  return made;
}

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState& a, const step::Bind& s) noexcept {
  const auto bound =
      detail::bind(k, a, Fd::cwd, s.source.text, s.destination, s.access, s.if_missing);
  if (!bound && s.if_missing == IfMissing::skip && detail::is_missing(bound.error())) {
    if constexpr (requires { k.on_skipped(s); }) k.on_skipped(s);
    return {};
  }
  return bound;
}

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState& a, const step::BindScratch& s) noexcept {
  const auto bound =
      detail::bind(k, a, a.scratch, s.source.text, s.destination, s.access, s.if_missing);
  if (!bound && s.if_missing == IfMissing::skip && detail::is_missing(bound.error())) return {};
  return bound;
}

namespace detail {

/// Keeps the first such `filesystem`, to recognise it by (make_in_own): a private /tmp comes before
/// the /proc of a pid namespace.
template <kernel::Kernel K>
void keep_own(K& k, AssemblyState& a, Fd filesystem) noexcept {
  if (a.own_filesystem != Fd::none)
    a.release(k, filesystem);
  else
    a.own_filesystem = filesystem;
}

}  // namespace detail

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState& a, const step::MountFilesystem& s) noexcept {
  const auto at =
      detail::find_or_make_mount_point(k, a, s.destination, IfMissing::create, Fd::none, "");
  if (!at) return failure(at.error());
  const ScopedFd mount_point(k, a.descriptors, *at);
  if (a.mode == Assembly::classic) {
    CHARLIE_TRY(
        as_result(kernel::mount(k, s.type.c_str(), detail::FdPath(mount_point.get()).c_str(),
                                s.type.c_str(), kernel::ms_nosuid | kernel::ms_nodev),
                  s.destination.text));
    const auto made = detail::open_mount_point(k, a, s.destination);
    if (!made) return failure(made.error());
    detail::keep_own(k, a, *made);
    return {};
  }
  const auto made = detail::new_filesystem(k, a, s.type.c_str());
  if (!made) return failure(made.error());
  const auto moved = kernel::move_mount(k, *made, mount_point.get());
  detail::keep_own(k, a, *made);
  return as_result(moved, s.destination.text);
}

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState& a, const step::EnterRoot&) noexcept {
  // Private: later mounts of the host do not propagate here.
  if (a.mode == Assembly::classic) {
    CHARLIE_TRY(as_result(kernel::mount(k, nullptr, detail::FdPath(a.root).c_str(), nullptr,
                                        kernel::ms_rec | kernel::ms_private)));
  } else {
    CHARLIE_TRY(as_result(kernel::mount_setattr(k, a.root, kernel::at_recursive,
                                                {.propagation = kernel::ms_private})));
  }
  // On top of "/": needs no path of the host, and from here on none is looked up.
  if (a.mode == Assembly::detached) CHARLIE_TRY(as_result(kernel::move_mount(k, a.root, "/"), "/"));
  CHARLIE_TRY(as_result(kernel::fchdir(k, a.root)));
  CHARLIE_TRY(as_result(kernel::pivot_root(k, ".", ".")));  // stacks the old root on the new one,
  a.in_root = true;                                         // which paths from now on begin at,
  if (a.staging != Fd::none)                                // and with it what is on top of that
    CHARLIE_TRY(as_result(kernel::umount2(k, ".", kernel::mnt_detach)));
  return as_result(kernel::umount2(k, ".", kernel::mnt_detach));
}

}  // namespace ch
