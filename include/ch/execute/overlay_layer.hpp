// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. The directory that holds a writable layer: "upper" and "work" as overlayfs wants
// them and, where it is one of the user's, the record "made-over" of what image it was made over.
// A layer is of use over that one alone: over another it shows half of each. A run that is
// refused takes back what it has made. Runs between clone and exec.
// Source: Documentation/filesystems/overlayfs.rst, "Index", "Sharing and copying layers".
#pragma once

#include "ch/execute/perform_mounts.hpp"

namespace ch::detail {

/// What a call on the layer has come to; all errors are about the layer's own path.
using LayerResult = kernel::Returned<void>;

template <class T>
[[nodiscard]] constexpr LayerResult failed(kernel::Returned<T> call) noexcept {
  return {call.raw, call.call};
}
[[nodiscard]] constexpr LayerResult refused(Errno code) noexcept {
  return {-static_cast<long>(code), kernel::Call::none};
}

/// Is the directory `from` that one, or below it? As far as their file system goes.
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

/// EINVAL if the layer lies in the image, so that each would show the other, or the image in it.
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

/// Opens the layer of `s`, and makes what is missing. On an error, too, `layer` says what has
/// been made.
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
    // Until the kernel knows of the overlay: another that finds what we make could use it, while
    // we are refused and remove it. Where there are no locks, what is made before stays.
    const auto locked = kernel::try_lock(k, layer.directory);
    if (locked.error() == Errno::eagain) return refused(Errno::ebusy);
    layer.ours = locked.ok();
  }
  return {};
}

/// Removes what this run has made of the layer `s` and nobody has filled: of one that is not known
/// to be ours the directory alone, if it is empty. By descriptors, for the host's paths may lead
/// nowhere by now.
template <kernel::Kernel K>
[[gnu::noinline]] void roll_back(K& k, const step::Overlay& s, const OpenLayer& layer) noexcept {
  if (s.kind != OverlayKind::directory) return;  // memory, which goes with us
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

/// What an image is known by: the inode of its root and when that was made, which stay the same
/// when it is moved within its file system, while the number of the device does not when
/// that is mounted anew. Where the file system does not say when, the path has to be the same.
/// "INODE SECONDS.NANOSECONDS PATH"; `key` is how much of it counts.
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

/// ESTALE: the layer was made over another image. One without a record, or with one that was
/// cut off before it said anything, is free: what overlayfs itself has noted of the image it was
/// over is removed then, for who removes the record says that the layer is to go over this one.
/// `record` becomes what is to be written when the layer is ours, if anything.
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

/// Writes the record. Only while the layer is ours alone.
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
