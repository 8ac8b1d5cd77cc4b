// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. Mounting as before Linux 5.12, by mount(2). It takes no descriptors, so they are passed
// as /proc/self/fd/N. It changes one mount at a time, so a tree that has to be read-only is first
// bound at "stage" in the staging tmpfs, remounted mount by mount, and then moved to its
// destination. Runs between clone and exec.
// Source: man 2 mount, "Remounting" and "Moving a mount"; man 5 proc, mountinfo, fdinfo.
#pragma once

#include "ch/execute/staging.hpp"
#include "ch/plan/account.hpp"

namespace ch::detail {

/// Adds flags to one mount. A remount sets *all* flags, so the existing ones are read first; the
/// kernel refuses to clear one that the host has locked.
template <kernel::Kernel K>
Result<void> remount(K& k, Fd mount, std::uint64_t add, ZString path) noexcept {
  kernel::StatFs status;
  CHARLIE_TRY(as_result(kernel::fstatfs(k, mount, status), path));
  constexpr std::uint64_t pairs[][2] = {
      {kernel::st_rdonly, kernel::ms_rdonly},     {kernel::st_nosuid, kernel::ms_nosuid},
      {kernel::st_nodev, kernel::ms_nodev},       {kernel::st_noexec, kernel::ms_noexec},
      {kernel::st_noatime, kernel::ms_noatime},   {kernel::st_nodiratime, kernel::ms_nodiratime},
      {kernel::st_relatime, kernel::ms_relatime}, {kernel::st_nosymfollow, kernel::ms_nosymfollow}};
  std::uint64_t flags = kernel::ms_remount | kernel::ms_bind | add;
  for (const auto& [st, ms] : pairs)
    if ((static_cast<std::uint64_t>(status.flags) & st) != 0) flags |= ms;
  // With nodiratime as the only flag about access times, the kernel would add relatime.
  constexpr std::uint64_t lazy = kernel::ms_noatime | kernel::ms_relatime;
  if ((flags & lazy) == 0) flags |= kernel::ms_strictatime;
  return as_result(kernel::mount(k, nullptr, FdPath(mount).c_str(), nullptr, flags), path);
}

/// The mount id, as in mountinfo, of the mount that `fd` is on.
template <kernel::Kernel K>
[[nodiscard]] Result<std::uint64_t> mount_id(K& k, Fd fd) noexcept {
  TextBuffer<48> path;
  path << "/proc/self/fdinfo/" << static_cast<int>(fd);
  std::uint64_t number = 0;
  const Error problem = for_each_line(k, path.c_str(), [&](std::string_view line) {
    constexpr std::string_view key = "mnt_id:\t";
    return head(line, key.size()) == key && parse_number(tail(line, key.size()), ~0ULL, number);
  });
  if (problem.code != Errno::none)
    return failure({problem.code, problem.operation, StepIndex::none, "/proc/self/fdinfo"});
  return number;
}

/// A line of mountinfo, as far as needed: mount id and mount point.
struct MountLine {
  std::uint64_t number = 0;
  TextBuffer<4200> point;

  [[nodiscard]] bool parse(std::string_view line) noexcept {
    std::string_view field[5];
    for (auto& f : field) {
      f = head(line, line.find(' '));
      line = tail(line, f.size() + 1);
    }
    point.clear();
    std::string_view escaped = field[4];
    while (!escaped.empty()) {
      const bool octal = escaped[0] == '\\' && escaped.size() >= 4;
      point << (octal ? static_cast<char>((escaped[1] - '0') * 64 + (escaped[2] - '0') * 8 +
                                          (escaped[3] - '0'))
                      : escaped[0]);
      escaped = tail(escaped, octal ? 4 : 1);
    }
    return parse_number(field[0], ~0ULL, number) && !point.view().empty() && !point.truncated();
  }
};

/// Adds flags to the mount `top` and to all visible mounts beneath it. Mounts hidden by others may
/// have the same mount point, so each is identified by its mount id.
template <kernel::Kernel K>
[[gnu::noinline]] Result<void> remount_tree(K& k, const AssemblyState& a, Fd top, std::uint64_t add,
                                            ZString path) noexcept {
  CHARLIE_TRY(remount(k, top, add, path));
  const Result<std::uint64_t> number = mount_id(k, top);
  if (!number) return failure(number.error());
  MountLine line;
  TextBuffer<4200> above;
  const Error unread = for_each_line(k, "/proc/self/mountinfo", [&](std::string_view text) {
    const bool found = line.parse(text) && line.number == *number;
    if (found) above << line.point.view() << '/';
    return found;
  });
  if (unread.code != Errno::none) return failure(unread);
  if (above.view().empty())
    return failure({Errno::enoent, kernel::Call::read, StepIndex::none, "/proc/self/mountinfo"});
  Result<void> done;
  const Error unread_again = for_each_line(k, "/proc/self/mountinfo", [&](std::string_view text) {
    if (!line.parse(text)) return false;
    if (head(line.point.view(), above.view().size()) != above.view()) return false;
    const char* below = line.point.c_str() + above.view().size();
    const auto opened = kernel::openat(k, top, below, kernel::o_path | kernel::o_nofollow);
    if (!opened.ok()) return false;  // hidden by another mount
    const ScopedFd mount(k, a.descriptors, opened.value());
    const auto there = mount_id(k, mount.get());
    if (!there)
      done = failure(there.error());
    else if (*there == line.number)
      done = remount(k, mount.get(), add, path);
    return !done.has_value();
  });
  if (done && unread_again.code != Errno::none) return failure(unread_again);
  return done;
}

/// Mounts the staging tmpfs by mount(2) on "/". The path "/" still means what is beneath it; only
/// "/.." leads to the new mount.
template <kernel::Kernel K>
Result<void> mount_staging_classic(K& k, AssemblyState& a) noexcept {
  CHARLIE_TRY(as_result(
      kernel::mount(k, "tmpfs", "/", "tmpfs", kernel::ms_nosuid | kernel::ms_nodev), "/"));
  const auto opened = as_result(kernel::openat(k, Fd::cwd, "/..", kernel::o_path), "/");
  if (!opened) return failure(opened.error());
  a.staging = *opened;
  CHARLIE_TRY(as_result(
      kernel::mount(k, nullptr, FdPath(a.staging).c_str(), nullptr, kernel::ms_unbindable), "/"));
  return make_staging_points(k, a);
}

/// Binds the image's directory, with the mounts beneath it, as the future root.
template <kernel::Kernel K>
Result<void> attach_image_classic(K& k, AssemblyState& a, const step::OpenImage& s) noexcept {
  CHARLIE_TRY(mount_staging_classic(k, a));
  CHARLIE_TRY(as_result(
      kernel::mount(k, FdPath(a.image_directory).c_str(), FdPath(a.staging, "root").c_str(),
                    nullptr, kernel::ms_bind | kernel::ms_rec),
      s.image.text));
  const auto root = as_result(kernel::openat(k, a.staging, "root", kernel::o_path), s.image.text);
  if (!root) return failure(root.error());
  a.root = *root;
  return remount_tree(k, a, a.root,
                      kernel::ms_nosuid | (s.access == Access::read_only ? kernel::ms_rdonly : 0),
                      s.image.text);
}

template <kernel::Kernel K>
Result<void> make_scratch_classic(K& k, AssemblyState& a, const step::MakeScratch& s) noexcept {
  TextBuffer<64> options;
  options << "mode=755";
  if (!s.size.empty()) options << ",size=" << s.size;
  CHARLIE_TRY(as_result(kernel::mount(k, "tmpfs", FdPath(a.staging, "scratch").c_str(), "tmpfs",
                                      kernel::ms_nosuid | kernel::ms_nodev, options.c_str())));
  const auto scratch = as_result(kernel::openat(k, a.staging, "scratch", kernel::o_path));
  if (!scratch) return failure(scratch.error());
  a.scratch = *scratch;
  return {};
}

/// Binds `source`/`path`, with the mounts beneath it, at `mount_point`.
template <kernel::Kernel K>
Result<void> bind_classic(K& k, const AssemblyState& a, Fd source, ZString path, Fd mount_point,
                          ZString destination, Access access) noexcept {
  const FdPath below(source, path.c_str());
  const char* const from = source == Fd::cwd ? path.c_str() : below.c_str();
  const FdPath to(mount_point);
  constexpr std::uint64_t recursive_bind = kernel::ms_bind | kernel::ms_rec;
  if (access == Access::read_write)
    return as_result(kernel::mount(k, from, to.c_str(), nullptr, recursive_bind), path);
  // Try as a directory first, then as a file.
  const char* place = "stage";
  auto staged = kernel::mount(k, from, FdPath(a.staging, place).c_str(), nullptr, recursive_bind);
  if (staged.error() == Errno::enotdir) {
    place = "stage-file";
    staged = kernel::mount(k, from, FdPath(a.staging, place).c_str(), nullptr, recursive_bind);
  }
  CHARLIE_TRY(as_result(staged, path));
  const auto opened = as_result(kernel::openat(k, a.staging, place, kernel::o_path), path);
  if (!opened) return failure(opened.error());
  const ScopedFd tree(k, a.descriptors, *opened);
  CHARLIE_TRY(remount_tree(k, a, tree.get(), kernel::ms_rdonly, path));
  return as_result(
      kernel::mount(k, FdPath(tree.get()).c_str(), to.c_str(), nullptr, kernel::ms_move),
      destination);
}

}  // namespace ch::detail
