// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. A failed launch leaves the user's layer as it was: what its steps have created there is
// removed again, in reverse order. Each step has noted the first component of its path that was
// missing; that one and all after it are new. Of these, empty directories, empty files and links
// are removed. What other processes may use by now, such as a mount point in the image, stays and
// is reported. Runs between clone and exec.
#pragma once

#include "ch/execute/perform_overlay.hpp"

namespace ch::detail {

/// The path of a step's mount point or link, as names below the image's root.
template <kernel::Kernel K>
[[nodiscard]] kernel::Returned<void> locate_made(K& k, const AssemblyState& a, const Step& step,
                                                 TextWriter& names) noexcept {
  if (const auto* link = std::get_if<step::MakeLink>(&step))
    return kernel::locate_link(k, a.image_directory, link->destination.view(), names);
  kernel::RootWalk walk;
  return walk.locate(k, a.image_directory, destination_of(step)->c_str(), names);
}

/// Removes the last of `names` below `base`, unless it is no longer empty.
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

/// Reports to a kernel with `on_left(ZString)` what `step` has created and what stays.
template <kernel::Kernel K>
void report_left([[maybe_unused]] K& k, [[maybe_unused]] const Step& step) noexcept {
  if constexpr (requires { k.on_left(ZString()); }) k.on_left(destination_of(step)->text);
}

/// Removes what the steps have created, or reports it.
template <kernel::Kernel K>
[[gnu::noinline]] void roll_back(K& k, AssemblyState& a) noexcept {
  for (std::size_t i = a.made.size(); i-- > 0;) {
    if (a.made[i] == 0) continue;
    TextBuffer<kernel::RootWalk::max_path> place;
    bool left = a.made[i] == kernel::must_stay;
    if (!left) left = !locate_made(k, a, a.steps[i], place).ok();
    std::string_view names = place.view();
    for (unsigned n = kernel::count_names(names); !left && n >= a.made[i]; --n) {
      const auto gone = remove_made(k, a.layer.upper, names);
      left = !gone.ok() && gone.error() != Errno::enoent;  // ENOENT: it was not created
      names = head(names, names.rfind('/'));
    }
    a.made[i] = 0;
    if (left) report_left(k, a.steps[i]);
  }
  for (const Step& step : a.steps)
    if (const auto* layer = std::get_if<step::Overlay>(&step)) roll_back(k, *layer, a.layer);
}

/// For a complete container whose program can't be started: reports everything created.
template <kernel::Kernel K>
void report_all_made(K& k, const Plan& plan, std::span<const std::uint8_t> made) noexcept {
  for (std::size_t i = 0; i < made.size(); ++i)
    if (made[i] != 0) report_left(k, plan.steps[i]);
}

}  // namespace ch::detail
