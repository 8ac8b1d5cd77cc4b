// SPDX-License-Identifier: Apache-2.0
//
// Floor 3. What the step Overlay does: a writable layer on the image, in the scratch
// file system or in a directory of the user's. Missing mount points are made in that
// layer *before* it is mounted: there all directories are ours, while in the merged
// tree those of the image may be another user's. Runs between clone and exec.
// Source: Documentation/filesystems/overlayfs.rst ("userxattr" is for user namespaces).
#pragma once

#include "ch/plan/perform_mounts.hpp"

namespace ch {
namespace detail {

/// The mount points that later steps will need and may make. The look-up of each answers
/// false for those that are no concern here.
struct CreatedMountPoint {
  ImagePath destination{};
  HostPath source{};     // decides between directory and file,
  ScratchPath scratch{};  // or this does; if both are empty, a directory
  bool wanted = false;

  void operator()(const step::Bind& s) noexcept {
    *this = {s.destination, s.source, {}, s.if_missing == IfMissing::create};
  }
  void operator()(const step::BindScratch& s) noexcept {
    *this = {s.destination, {}, s.source, s.if_missing == IfMissing::create};
  }
  void operator()(const step::MountFilesystem& s) noexcept {
    *this = {s.destination, {}, {}, true};
  }
  template <class S>
  void operator()(const S&) noexcept {}
};

/// What the mount point has to be. The scratch file system is still empty at this time.
template <kernel::Kernel K>
kernel::MountPoint kind_of(K& k, const Assembling& a, const CreatedMountPoint& point) noexcept {
  if (!point.source.empty()) return mount_point_for(k, Fd::cwd, point.source.c_str());
  for (const Step& step : a.steps)
    if (const auto* written = std::get_if<step::WriteScratchFile>(&step))
      if (written->path.view() == point.scratch.view()) return kernel::MountPoint::file;
  return kernel::MountPoint::directory;
}

/// Makes in `upper` all mount points that the image lacks, and all links.
template <kernel::Kernel K>
Result<void> make_mount_points(K& k, const Assembling& a, Fd upper) noexcept {
  for (const Step& step : a.steps) {
    if (const auto* link = std::get_if<step::MakeLink>(&step)) {
      if (look_for_link(k, a, *link).there) continue;
      CHARLIE_TRY(lift(kernel::make_link(k, a.root, upper, link->destination.view(),
                                         link->target.c_str()),
                       link->destination.text));
      continue;
    }
    CreatedMountPoint point;
    std::visit(point, step);
    if (!point.wanted) continue;
    const auto there = open_mount_point(k, a, point.destination);
    if (there) a.release(k, *there);
    if (there || there.error().code != Errno::enoent) continue;  // any other error: at its step
    TextBuffer<kernel::RootWalk::max_path> names;
    kernel::RootWalk walk;
    CHARLIE_TRY(lift(walk.locate(k, a.root, point.destination.c_str(), names),
                     point.destination.text));
    CHARLIE_TRY(lift(kernel::make_names(k, upper, names.view(), kind_of(k, a, point)),
                     point.destination.text));
  }
  return {};
}

/// The directory that holds "upper" and "work", which are made if they are not there.
template <kernel::Kernel K>
Result<Fd> open_layer(K& k, Assembling& a, const step::Overlay& s) noexcept {
  const bool kept = s.kind == OverlayKind::directory;
  const Fd base = kept ? Fd::cwd : a.scratch;
  const ZString name = kept ? s.directory.text : ZString("overlay");
  const auto made = kernel::mkdirat(k, base, name.c_str(), 0755);
  if (!made.ok() && made.error() != Errno::eexist) return failure(lift(made, name).error());
  const auto layer = lift(
      kernel::openat(k, base, name.c_str(), kernel::o_path | kernel::o_directory), name);
  if (!layer) return layer;
  for (const char* part : {"upper", "work"}) {
    const auto part_made = kernel::mkdirat(k, *layer, part, 0755);
    if (part_made.ok() || part_made.error() == Errno::eexist) continue;
    a.release(k, *layer);
    return failure(lift(part_made, name).error());
  }
  return layer;
}

}  // namespace detail

template <kernel::Kernel K>
Result<void> perform(K& k, Assembling& a, const step::Overlay& s) noexcept {
  a.can_overlay = a.mode != Assembly::classic;
  if (s.kind == OverlayKind::if_needed && !a.wants_overlay) return {};
  if (!a.can_overlay)  // a kernel this old has none for ordinary users
    return failure({Errno::enosys, kernel::Call::fsopen, StepIndex::none, "overlay"});
  const auto layer = detail::open_layer(k, a, s);
  if (!layer) return failure(layer.error());
  const detail::Held<K> held_layer(k, a, *layer);
  const auto upper = lift(
      kernel::openat(k, *layer, "upper", kernel::o_path | kernel::o_directory), s.directory.text);
  if (!upper) return failure(upper.error());
  const detail::Held<K> held_upper(k, a, *upper);
  CHARLIE_TRY(detail::make_mount_points(k, a, *upper));

  const auto opened = lift(kernel::fsopen(k, "overlay"), "overlay");
  if (!opened) return failure(opened.error());
  const detail::Held<K> context(k, a, *opened);
  const struct {
    const char* key;
    detail::FdPath path;
  } parts[] = {{"lowerdir", detail::FdPath(a.root)},
               {"upperdir", detail::FdPath(*upper)},
               {"workdir", detail::FdPath(*layer, "work")}};
  for (const auto& part : parts)
    CHARLIE_TRY(
        lift(kernel::fsconfig_set(k, context.get(), part.key, part.path.c_str()), part.key));
  CHARLIE_TRY(lift(kernel::fsconfig_flag(k, context.get(), "userxattr"), "userxattr"));
  // With an index the kernel refuses (EBUSY) a layer that another overlay uses, until the last
  // process in that one has ended, however it ends; without, both would spoil the layer.
  if (s.kind == OverlayKind::directory)
    CHARLIE_TRY(lift(kernel::fsconfig_set(k, context.get(), "index", "on"), "index"));
  CHARLIE_TRY(lift(kernel::fsconfig_create(k, context.get()), "overlay"));
  const std::uint64_t read_only =
      s.kind == OverlayKind::if_needed ? kernel::mount_attr_rdonly : 0;
  const auto merged = lift(kernel::fsmount(k, context.get(),
                                           kernel::mount_attr_nosuid | kernel::mount_attr_nodev |
                                               read_only),
                           "overlay");
  if (!merged) return failure(merged.error());
  a.release(k, a.root);  // the overlay has its own hold on it
  a.root = *merged;
  if (s.kind != OverlayKind::if_needed) a.access = Access::read_write;
  if (a.mode == Assembly::detached) return {};
  return detail::attach_in_workshop(k, a, a.root, "root");
}

}  // namespace ch
