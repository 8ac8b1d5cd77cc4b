// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. The directory that holds a writable layer: "upper" and "work", as overlayfs requires,
// and, in a directory of the user's, "made-over", a record of the image that it was made for. A
// layer is only valid over that image: over another, the result would be a mix of both. A failed
// launch removes what it has created. Runs between clone and exec.
// Source: Documentation/filesystems/overlayfs.rst, "Index", "Sharing and copying layers".
#pragma once

#include "ch/execute/perform_mounts.hpp"

namespace ch::detail {

/// The result of a call on the layer; all errors are about the layer's path.
using LayerResult = kernel::Returned<void>;

template <class T>
[[nodiscard]] constexpr LayerResult failed(kernel::Returned<T> call) noexcept {
  return {call.raw, call.call};
}
[[nodiscard]] constexpr LayerResult refused(Errno code) noexcept {
  return {-static_cast<long>(code), kernel::Call::none};
}

/// Is the directory `from` the directory `that`, or below it, within one file system?
template <kernel::Kernel K>
[[gnu::noinline]] bool is_within(K& k, const AssemblyState& a, Fd from,
                                 const kernel::Statx& that) noexcept {
  kernel::Statx here;
  Fd at = from;
  bool found = false;
  for (std::uint64_t last = 0;;) {
    const bool seen = kernel::statx(k, at, "", kernel::at_empty_path, here).ok() &&
                      here.dev_major == that.dev_major && here.dev_minor == that.dev_minor;
    found = seen && here.ino == that.ino;
    const bool top = !seen || found || here.ino == last;  // ".." of the root is itself
    const auto above = top ? kernel::Returned<Fd>{-1}
                           : kernel::openat(k, at, "..", kernel::o_path | kernel::o_directory);
    if (at != from) a.release(k, at);
    if (!above.ok()) return found;
    last = here.ino;
    at = above.value();
  }
}

/// EINVAL if the layer lies in the image, or the image in the layer: each would show the other.
template <kernel::Kernel K>
[[gnu::noinline]] LayerResult check_disjoint(K& k, const AssemblyState& a,
                                             const OpenLayer& layer) noexcept {
  kernel::Statx that;
  if (const auto seen = kernel::statx(k, a.root, "", kernel::at_empty_path, that); !seen.ok())
    return seen;
  bool apart = !is_within(k, a, layer.directory, that);
  for (const char* part : {"upper", "work"})
    if (kernel::statx(k, layer.directory, part, 0, that).ok())
      apart = apart && !is_within(k, a, a.image_directory, that);
  return apart ? LayerResult{} : refused(Errno::einval);
}

/// Opens the layer of `s`, and creates what is missing. Even on an error, `layer` says what has
/// been created.
template <kernel::Kernel K>
[[gnu::noinline]] LayerResult open_layer(K& k, const AssemblyState& a, const step::Overlay& s,
                                         OpenLayer& layer) noexcept {
  const bool kept = s.kind == OverlayKind::directory;
  constexpr std::uint64_t flags = kernel::o_path | kernel::o_directory;
  const struct {
    Fd at;
    const char* name;
    bool& made;
    Fd* opened;
  } parts[] = {{kept ? Fd::cwd : a.scratch, kept ? s.directory.c_str() : "overlay", layer.made,
                &layer.directory},
               {Fd::none, "work", layer.made_work, nullptr},
               {Fd::none, "upper", layer.made_upper, &layer.upper}};
  for (const auto& part : parts) {
    const Fd at = part.at == Fd::none ? layer.directory : part.at;
    const auto made = kernel::mkdirat(k, at, part.name, 0755);
    part.made = made.ok();
    if (!made.ok() && made.error() != Errno::eexist) return made;
    if (part.opened == nullptr) continue;
    const bool top = kept && part.opened == &layer.directory;
    const auto opened = kernel::openat(k, at, part.name, top ? kernel::o_directory : flags);
    if (!opened.ok()) return failed(opened);
    *part.opened = opened.value();
    if (!top) continue;
    if (const auto apart = check_disjoint(k, a, layer); !apart.ok()) return apart;
    // The lock covers the time until the overlay is mounted: another process could find and use
    // what we create, while our launch fails and removes it. Without locks, what exists is left
    // alone.
    const auto locked = kernel::try_lock(k, layer.directory);
    if (locked.error() == Errno::eagain) {
      layer.made = false;  // it is the other's by now, and may still be empty
      return refused(Errno::ebusy);
    }
    layer.ours = locked.ok();
  }
  return {};
}

/// Removes the parts of the layer `s` that this launch has created and nobody has filled; of a
/// layer that is not known to be ours, only the directory itself, if it is empty. By descriptors,
/// since the host's paths may not be reachable any more.
template <kernel::Kernel K>
[[gnu::noinline]] void roll_back(K& k, const step::Overlay& s, const OpenLayer& layer) noexcept {
  if (s.kind != OverlayKind::directory) return;  // in memory: disappears with us
  if (layer.made_record) (void)kernel::unlinkat(k, layer.directory, "made-over");
  if (layer.ours && layer.made_work)
    for (const char* part : {"work/work", "work/index", "work"})
      (void)kernel::remove_directory(k, layer.directory, part);
  if (layer.ours && layer.made_upper) (void)kernel::remove_directory(k, layer.directory, "upper");
  if (!layer.made) return;
  if (layer.directory == Fd::none) {  // it could not even be opened
    (void)kernel::remove_directory(k, Fd::cwd, s.directory.c_str());
    return;
  }
  std::string_view path = s.directory.view();
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  TextBuffer<kernel::RootWalk::max_path> beside;
  beside << "../" << tail(path, path.rfind('/') + 1);
  (void)kernel::remove_directory(k, layer.directory, beside.c_str());
}

inline constexpr std::size_t max_record = kernel::RootWalk::max_path + 64;

/// Identifies an image by the inode and the birth time of its root directory. These stay the same
/// when it is moved within its file system; the device number is not used, since it may change when
/// the file system is mounted again. If the file system has no birth times, the path has to be the
/// same. Writes "INODE SECONDS.NANOSECONDS PATH"; only the first `key` bytes are compared.
template <kernel::Kernel K>
[[gnu::noinline]] LayerResult describe_image(K& k, const AssemblyState& a, TextWriter& record,
                                             std::size_t& key) noexcept {
  kernel::Statx status;
  const auto seen =
      kernel::statx(k, a.root, "", kernel::at_empty_path, status, kernel::statx_btime);
  if (!seen.ok()) return seen;
  record << status.ino << ' ';
  const bool has_birth = (status.mask & kernel::statx_btime) != 0;
  if (has_birth) record << status.btime.sec << '.' << status.btime.nsec;
  record << ' ';
  key = record.view().size();
  char path[kernel::RootWalk::max_path];
  const auto n =
      kernel::readlinkat(k, Fd::cwd, FdPath(a.image_directory).c_str(), path, sizeof path);
  if (!n.ok()) return failed(n);
  record << std::string_view(path, n.value()) << '\n';
  if (!has_birth) key = record.view().size();
  return {};
}

/// ESTALE: the layer was made over another image. A layer without a record, or with an empty one,
/// is accepted over any image. Then overlayfs' own note of the previous image is removed, since by
/// removing the record the user has chosen this image. `record` becomes what is to be written once
/// the layer is ours, if anything.
template <kernel::Kernel K>
[[gnu::noinline]] LayerResult check_record(K& k, const AssemblyState& a, OpenLayer& layer,
                                           TextWriter& record) noexcept {
  std::size_t key = 0;
  if (const auto known = describe_image(k, a, record, key); !known.ok()) return known;
  const auto file = kernel::openat(k, layer.directory, "made-over",
                                   kernel::o_rdonly | kernel::o_nofollow | kernel::o_nonblock);
  if (!file.ok() && file.error() != Errno::enoent) return failed(file);
  layer.lacks_record = !file.ok();
  char found[max_record];
  std::size_t size = 0;
  if (file.ok()) {
    const auto n = kernel::read(k, file.value(), found, sizeof found);
    a.release(k, file.value());
    if (!n.ok()) return failed(n);
    size = n.value();
  }
  if (size == 0) {
    (void)kernel::removexattr(k, FdPath(layer.upper).c_str(), "user.overlay.origin");
    return {};
  }
  if (head({found, size}, key) != head(record.view(), key)) return refused(Errno::estale);
  record.clear();
  return {};
}

/// Writes the record. Only while no other process can use the layer.
template <kernel::Kernel K>
[[gnu::noinline]] LayerResult write_layer_record(K& k, const AssemblyState& a, OpenLayer& layer,
                                                 std::string_view record) noexcept {
  const auto file = kernel::openat(
      k, layer.directory, "made-over",
      kernel::o_wronly | kernel::o_creat | kernel::o_trunc | kernel::o_nofollow, 0644);
  if (!file.ok()) return failed(file);
  layer.made_record = layer.lacks_record;
  const auto n = kernel::write(k, file.value(), record.data(), record.size());
  a.release(k, file.value());
  if (!n.ok()) return failed(n);
  return n.value() < record.size() ? LayerResult{-static_cast<long>(Errno::enospc), n.call}
                                   : LayerResult{};
}

}  // namespace ch::detail
