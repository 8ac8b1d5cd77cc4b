// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. What the step Overlay does: a writable layer on the image, in the scratch
// file system or in a directory of the user's (overlay_layer.hpp). Missing mount points are created
// in that layer *before* it is mounted: there we own all directories, while in the merged tree
// those of the image may belong to another user. Runs between clone and exec.
// Source: Documentation/filesystems/overlayfs.rst ("userxattr" is for user namespaces).
#pragma once

#include "ch/execute/overlay_layer.hpp"
#include "ch/plan/mount_point.hpp"

namespace ch {
namespace detail {

/// The kind that the mount point must have. The scratch file system is still empty at this time.
template <kernel::Kernel K>
kernel::MountPoint mount_point_kind(K& k, const AssemblyState& a,
                                    const CreatedMountPoint& point) noexcept {
  if (!point.source.empty()) return mount_point_for(k, Fd::cwd, point.source.c_str());
  return is_scratch_file(a.steps, point.scratch) ? kernel::MountPoint::file
                                                 : kernel::MountPoint::directory;
}

/// Creates in `upper` all mount points and links that the image lacks.
template <kernel::Kernel K>
Result<void> make_mount_points(K& k, AssemblyState& a, Fd upper, OverlayKind kind) noexcept {
  for (std::size_t i = 0; i < a.steps.size(); ++i) {
    // Only for a kept layer: what is created in memory needs no removal.
    std::uint8_t& note = kind == OverlayKind::directory ? a.note_for(i) : a.discarded_note;
    const Step& step = a.steps[i];
    const auto* link = std::get_if<step::MakeLink>(&step);
    const CreatedMountPoint point(step);
    const ImagePath place = link != nullptr ? link->destination : point.destination;
    if (!own_place(a.steps, place.text).directory.empty()) continue;  // made when that is mounted
    if (link != nullptr) {
      if (look_for_link(k, a, *link).exists) continue;
      CHARLIE_TRY(as_result(
          kernel::make_link(k, a.root, upper, link->destination.view(), link->target.c_str(), note),
          link->destination.text));
      continue;
    }
    if (!point.wanted) continue;
    const auto there = open_mount_point(k, a, point.destination);
    if (there) a.release(k, *there);
    if (there || there.error().code != Errno::enoent) continue;  // other errors: at their step
    TextBuffer<kernel::RootWalk::max_path> names;
    kernel::RootWalk walk;
    CHARLIE_TRY(as_result(walk.locate(k, a.root, point.destination.c_str(), names),
                          point.destination.text));
    CHARLIE_TRY(
        as_result(kernel::make_names(k, upper, names.view(), mount_point_kind(k, a, point), note),
                  point.destination.text));
  }
  return {};
}

/// Why the kernel refused the overlay. EINVAL may be due to mounts inside the image. Those made
/// before our user namespace are locked: nobody in it may see what is beneath them, and an overlay
/// would show it. In that case cloning the image without them fails with EINVAL, too.
template <kernel::Kernel K>
[[gnu::noinline]] Error why_no_overlay(K& k, const AssemblyState& a, const Error& error) noexcept {
  if (error.code != Errno::einval) return error;
  const auto alone =
      as_result(kernel::clone_tree(k, a.image_directory, "", kernel::at_empty_path), a.image.text);
  if (alone) a.release(k, *alone);
  return !alone && alone.error().code == Errno::einval ? alone.error() : error;
}

/// A detached mount of the image with `layer`, which is created or opened, over it.
///
/// Mount points are created once the layer is known to be ours: after the overlay exists, and
/// before anybody has looked up a name in it.
template <kernel::Kernel K>
[[gnu::noinline]] Result<Fd> merge(K& k, AssemblyState& a, const step::Overlay& s, Fd context,
                                   OpenLayer& layer) noexcept {
  const bool kept = s.kind == OverlayKind::directory;
  const ZString name = kept ? s.directory.text : ZString("overlay");
  CHARLIE_TRY(as_result(open_layer(k, a, s, layer), name));
  TextBuffer<max_record> record;
  if (kept) CHARLIE_TRY(as_result(check_record(k, a, layer, record), name));
  const struct {
    const char* key;
    FdPath path;
  } parts[] = {{"lowerdir", FdPath(a.root)},
               {"upperdir", FdPath(layer.upper)},
               {"workdir", FdPath(layer.directory, "work")}};
  for (const auto& part : parts)
    CHARLIE_TRY(as_result(kernel::fsconfig_set(k, context, part.key, part.path.c_str()), part.key));
  CHARLIE_TRY(as_result(kernel::fsconfig_flag(k, context, "userxattr"), "userxattr"));
  // With index=on the kernel refuses (EBUSY) a layer that another overlay uses, until the last
  // process in that one has ended; without, both would corrupt the layer. If no index is possible
  // (without privilege, for example), the kernel disables it, but still refuses the layer.
  if (kept) CHARLIE_TRY(as_result(kernel::fsconfig_set(k, context, "index", "on"), "index"));
  const auto created = as_result(kernel::fsconfig_create(k, context), name);
  layer.ours = created || (layer.ours && created.error().code != Errno::ebusy);
  if (!created) return failure(why_no_overlay(k, a, created.error()));
  if (!record.view().empty())
    CHARLIE_TRY(as_result(write_layer_record(k, a, layer, record.view()), name));
  CHARLIE_TRY(make_mount_points(k, a, layer.upper, s.kind));
  const std::uint64_t read_only = s.kind == OverlayKind::if_needed ? kernel::mount_attr_rdonly : 0;
  return as_result(
      kernel::fsmount(k, context, kernel::mount_attr_nosuid | kernel::mount_attr_nodev | read_only),
      "overlay");
}

}  // namespace detail

/// A kept layer stays open, so that what is created in it can be removed again if the launch fails,
/// here or later (roll_back.hpp).
template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState& a, const step::Overlay& s) noexcept {
  a.overlay_allowed = a.mode != Assembly::classic;
  if (s.kind == OverlayKind::if_needed && !a.overlay_requested) return {};
  if (!a.overlay_allowed)  // a kernel this old has none for ordinary users
    return failure({Errno::enosys, kernel::Call::fsopen, StepIndex::none, "overlay"});
  const auto opened = as_result(kernel::fsopen(k, "overlay"), "overlay");
  if (!opened) return failure(opened.error());
  const ScopedFd context(k, a.descriptors, *opened);
  OpenLayer layer;
  const Result<Fd> merged = detail::merge(k, a, s, context.get(), layer);
  if (s.kind == OverlayKind::directory) {
    a.layer = layer;
  } else {
    a.in_memory = true;
    if (layer.directory != Fd::none) a.release(k, layer.directory);
    if (layer.upper != Fd::none) a.release(k, layer.upper);
  }
  if (!merged) return failure(merged.error());
  a.release(k, a.root);  // the overlay has its own reference
  a.root = *merged;
  if (s.kind != OverlayKind::if_needed) a.access = Access::read_write;
  if (a.mode == Assembly::detached) return {};
  return detail::attach_in_staging(k, a, a.root, "root");
}

}  // namespace ch
