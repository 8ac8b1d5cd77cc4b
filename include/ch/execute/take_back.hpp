// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. A run that is refused leaves the image, and the user's layer over it, as they were:
// what its steps have made there is removed again, the last first. Each step has noted the
// first of its names that was missing, so that and all below it are new; of these go empty
// directories, empty files and links. Runs between clone and exec.
#pragma once

#include "ch/execute/perform_overlay.hpp"

namespace ch::detail {

/// Where a step's mount point or link is: names below the image's root.
template <kernel::Kernel K>
[[nodiscard]] kernel::Returned<void> locate_made(K& k, const Assembling& a, const Step& step,
                                                 TextWriter& names) noexcept {
  if (const auto* link = std::get_if<step::MakeLink>(&step))
    return kernel::locate_link(k, a.image_directory, link->destination.view(), names);
  kernel::RootWalk walk;
  return walk.locate(k, a.image_directory, destination_of(step)->c_str(), names);
}

/// Removes the last of `names` below `base`, unless somebody has filled it.
template <kernel::Kernel K>
kernel::Returned<void> remove_made(K& k, Fd base, std::string_view names) noexcept {
  TextBuffer<kernel::RootWalk::max_path> above;
  above << head(names, names.rfind('/') + 1);
  TextBuffer<257> name;
  name << tail(names, above.view().size());
  const auto parent =
      kernel::open_in_root(k, base, above.c_str(), kernel::o_path | kernel::o_directory);
  if (!parent.ok()) return {parent.raw, parent.call};
  auto removed = kernel::remove_directory(k, parent.value(), name.c_str());
  if (removed.error() == Errno::enotdir) {
    kernel::Statx status;
    const auto seen =
        kernel::statx(k, parent.value(), name.c_str(), kernel::at_symlink_nofollow, status);
    const bool link = (status.mode & kernel::s_ifmt) == kernel::s_iflnk;
    if (seen.ok() && (link || status.size == 0))
      removed = kernel::unlinkat(k, parent.value(), name.c_str());
  }
  (void)kernel::close(k, parent.value());
  return removed;
}

/// Once we are in the container, what is mounted keeps its mount points busy; what covers
/// another goes first.
template <kernel::Kernel K>
void unmount_all(K& k, const Assembling& a) noexcept {
  for (std::size_t i = a.steps.size(); i-- > 0;)
    if (const ImagePath* destination = destination_of(a.steps[i]))
      (void)kernel::umount2(k, destination->c_str(), kernel::mnt_detach);
}

/// Takes back what the steps have made. What can't be, such as a link that took the place of
/// another, is told to a kernel with `on_left(ZString)`.
template <kernel::Kernel K>
[[gnu::noinline]] void take_back(K& k, Assembling& a) noexcept {
  bool made = a.layer.directory != Fd::none;
  for (const std::uint8_t note : a.made) made = made || note != 0;
  if (!made) return;
  if (a.in_root)
    unmount_all(k, a);
  else
    take_down_workshop(k, a);
  const Fd base = a.layer.directory == Fd::none ? a.image_directory : a.layer.upper;
  for (std::size_t i = a.made.size(); i-- > 0;) {
    if (a.made[i] == 0) continue;
    TextBuffer<kernel::RootWalk::max_path> place;
    auto gone = locate_made(k, a, a.steps[i], place);
    std::string_view names = place.view();
    for (unsigned n = kernel::count_names(names); gone.ok() && n >= a.made[i]; --n) {
      gone = remove_made(k, base, names);
      if (gone.error() == Errno::enoent) gone = {};  // it had not come to that
      names = head(names, names.rfind('/'));
    }
    const bool left = !gone.ok() || a.made[i] == kernel::replaced_link;
    a.made[i] = 0;
    if (!left) continue;
    if constexpr (requires { k.on_left(ZString()); }) k.on_left(destination_of(a.steps[i])->text);
  }
  for (const Step& step : a.steps)
    if (const auto* layer = std::get_if<step::Overlay>(&step)) take_back(k, *layer, a.layer);
}

}  // namespace ch::detail
