// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. What each process step does: namespaces, ids, the program. The steps that
// mount are in perform_mounts.hpp; execute.hpp runs them in order. Everything here
// runs between clone and exec: no allocation, no libc, no locks.
// Source: man 7 user_namespaces; man 2 execve.
#pragma once

#include "ch/kernel/in_root.hpp"
#include "ch/kernel/mount.hpp"
#include "ch/kernel/process.hpp"
#include "ch/plan/search_path.hpp"
#include "ch/types/scoped_fd.hpp"

namespace ch {

struct Gathering;  // meet/gathering.hpp

/// The open directory of a writable layer, and which parts of it this launch has created.
struct OpenLayer {
  Fd directory = Fd::none;
  Fd upper = Fd::none;
  bool ours = false;  // no other process can be using it
  bool made = false;  // the directory itself
  bool made_upper = false;
  bool made_work = false;
  bool lacks_record = false;  // made-over does not exist
  bool made_record = false;
};

/// State shared by the steps while a container is being assembled.
struct AssemblyState {
  std::span<const Step> steps{};  // the whole plan: an overlay looks ahead
  Assembly mode = Assembly::detached;
  Descriptors descriptors = Descriptors::close_now;
  Fd root = Fd::none;     // the tree that will be the root
  Fd scratch = Fd::none;  // the scratch file system
  Fd staging = Fd::none;  // the tmpfs that both are attached to (staging.hpp), if not detached
  HostPath image{};
  Fd image_directory = Fd::none;      // on the host
  Access access = Access::read_only;  // to the image
  OpenLayer layer{};                  // if a kept layer lies over it
  std::span<std::uint8_t> made{};     // Execution::made
  Gathering* gathering = nullptr;     // of the peers, if the plan has any
  std::uint8_t discarded_note = 0;    // where notes go that nobody reads
  std::size_t index = 0;              // of the step being performed
  bool in_root = false;               // root has been entered
  bool overlay_allowed = false;       // the plan allows one, if needed
  bool overlay_requested = false;     // a mount point was missing
  bool in_memory = false;             // what is created in the tree is in memory only
  Fd own_filesystem = Fd::none;       // the first that was mounted new, at a path
  kernel::RLimit file_size{};         // `ulimit -f`, if knows_file_size
  bool knows_file_size = false;

  /// Where a step notes what it creates in the image, or in a kept layer.
  [[nodiscard]] std::uint8_t& note_for(std::size_t step) noexcept {
    return step < made.size() ? made[step] : discarded_note;
  }
  template <kernel::Kernel K>
  void release(K& k, Fd fd) const noexcept {
    ch::release(k, descriptors, fd);
  }
  /// Releases all descriptors; with a detached tree this undoes the assembly.
  template <kernel::Kernel K>
  void drop(K& k) noexcept {
    if (root != Fd::none) release(k, root);
    if (scratch != Fd::none) release(k, scratch);
    if (staging != Fd::none) release(k, staging);
    if (own_filesystem != Fd::none) release(k, own_filesystem);
    if (image_directory != Fd::none) release(k, image_directory);
    if (layer.directory != Fd::none) release(k, layer.directory);
    if (layer.upper != Fd::none) release(k, layer.upper);
    root = scratch = staging = own_filesystem = image_directory = Fd::none;
    layer.directory = layer.upper = Fd::none;
  }
};

namespace detail {

/// Writes one record to a file of /proc/self that accepts exactly one write.
template <kernel::Kernel K>
Result<void> write_record(K& k, const AssemblyState& a, const char* path,
                          std::string_view record) noexcept {
  const auto fd = kernel::openat(k, Fd::cwd, path, kernel::o_wronly);
  if (!fd.ok()) return as_result(kernel::Returned<void>{fd.raw, fd.call}, path);
  const ScopedFd file(k, a.descriptors, fd.value());
  const auto n = kernel::write(k, file.get(), record.data(), record.size());
  return as_result(kernel::Returned<void>{n.raw, n.call}, path);
}

/// A map of users or groups, untyped, so that the code exists once for both.
struct IdMap {
  const char* path;
  char letter;  // requests this map from the writer
  unsigned inside, outside, count;
  bool more;
  Fd writer;

  template <class Map>
  constexpr IdMap(const char* file, char asked_by, const Map& s) noexcept
      : path(file),
        letter(asked_by),
        inside(static_cast<unsigned>(s.range.inside)),
        outside(static_cast<unsigned>(s.range.outside)),
        count(s.range.count),
        more(!s.more.empty()),
        writer(s.writer) {}
};

/// Writes the map, or requests it from the writer, which replies with an errno.
template <kernel::Kernel K>
Result<void> map_ids(K& k, const AssemblyState& a, const IdMap& map) noexcept {
  if (map.writer == Fd::none && !map.more) {
    TextBuffer<48> line;
    line << map.inside << ' ' << map.outside << ' ' << map.count << '\n';
    return write_record(k, a, map.path, line.view());
  }
  int code = 0;
  auto done = kernel::write(k, map.writer, &map.letter, 1);
  while (done.ok() || done.error() == Errno::eintr) {
    done = kernel::read(k, map.writer, &code, sizeof code);
    if (done.ok() && done.value() == sizeof code && code == 0) return {};
    if (done.ok()) break;
  }
  return failure({Errno::eperm, kernel::Call::none, StepIndex::none, map.path,
                  "only a process outside can map several ids"});
}

}  // namespace detail

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState&, const step::CreateNamespaces& s) noexcept {
  if (s.enter != Fd::none) CHARLIE_TRY(as_result(kernel::fchdir(k, s.enter)));
  return as_result(kernel::unshare(k, static_cast<std::uint64_t>(s.flags)));
}

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState& a, const step::JoinNamespaces& s) noexcept {
  if (s.held != Fd::none)
    return as_result(kernel::setns(k, s.held, static_cast<std::uint64_t>(s.flags)), s.file);
  const auto pidfd = as_result(kernel::pidfd_open(k, s.pid));
  if (!pidfd) return failure(pidfd.error());
  const ScopedFd process(k, a.descriptors, *pidfd);
  return as_result(kernel::setns(k, process.get(), static_cast<std::uint64_t>(s.flags)));
}

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState& a, const step::DenySetgroups&) noexcept {
  return detail::write_record(k, a, "/proc/self/setgroups", "deny");
}
template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState& a, const step::MapUsers& s) noexcept {
  return detail::map_ids(k, a, {"/proc/self/uid_map", 'u', s});
}
template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState& a, const step::MapGroups& s) noexcept {
  return detail::map_ids(k, a, {"/proc/self/gid_map", 'g', s});
}

/// Not chdir by name: a path through the magic link /proc/self/fd/N would lead to the directory of
/// a leaked descriptor, even to the host's root (CVE-2024-21626).
template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState& a, const step::ChangeDirectory& s) noexcept {
  constexpr std::uint64_t flags = kernel::o_path | kernel::o_directory;
  auto opened =
      kernel::openat2(k, Fd::cwd, s.path.c_str(), {flags, 0, kernel::resolve_no_magiclinks});
  if (opened.error() == Errno::enosys || opened.error() == Errno::eperm) {
    const bool absolute = head(s.path.view(), 1) == "/";
    const auto start = kernel::openat(k, Fd::cwd, absolute ? "/" : ".", flags);
    if (!start.ok()) return as_result(kernel::Returned<void>{start.raw, start.call}, s.path.text);
    const ScopedFd root(k, a.descriptors, start.value());
    opened = kernel::walk_in_root(k, root.get(), s.path.c_str(), flags);
  }
  if (opened.error() == Errno::enoent && s.if_missing == IfMissing::skip) return {};
  if (!opened.ok()) return as_result(kernel::Returned<void>{opened.raw, opened.call}, s.path.text);
  const ScopedFd directory(k, a.descriptors, opened.value());
  return as_result(kernel::fchdir(k, directory.get()), s.path.text);
}

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState&, const step::ForbidNewPrivileges&) noexcept {
  return as_result(kernel::prctl(k, kernel::pr_set_no_new_privs, 1));
}

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState&, const step::SetHostname& s) noexcept {
  return as_result(kernel::sethostname(k, s.name.c_str(), s.name.size()), s.name);
}

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState&, const step::Redirect& s) noexcept {
  const auto placed = kernel::dup3(k, s.from, s.to);
  return as_result(kernel::Returned<void>{placed.raw, placed.call});
}

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState&, const step::InstallFilter& s) noexcept {
  return as_result(kernel::install_filter(k, s.program));
}

namespace detail {

/// Closes `first`..`last` at exec, or with `flags` 0 at once. Before 5.11, or under a filter that
/// does not know the call, closes them at once, one by one; ours among them are no longer needed.
template <kernel::Kernel K>
Result<void> close_between(K& k, unsigned first, unsigned last,
                           unsigned flags = kernel::close_range_cloexec) noexcept {
  const auto closed = kernel::close_range(k, first, last, flags);
  if (closed.ok()) return {};
  if (closed.error() != Errno::enosys && closed.error() != Errno::einval &&
      closed.error() != Errno::eperm)
    return as_result(closed);
  for (unsigned fd = first; fd <= last && fd < 65536; ++fd)
    (void)kernel::close(k, static_cast<Fd>(fd));
  return {};
}

/// Clears close-on-exec on the descriptors that a later step keeps. Called before we open anything:
/// a number that is unused now may be one of ours later, and ours must not be kept.
template <kernel::Kernel K>
void keep_descriptors(K& k, std::span<const Step> steps) noexcept {
  for (const Step& step : steps)
    if (const auto* closes = std::get_if<step::CloseDescriptors>(&step))
      for (const int kept : closes->keep) (void)kernel::keep_at_exec(k, static_cast<Fd>(kept));
}

}  // namespace detail

template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState&, const step::CloseDescriptors& s) noexcept {
  unsigned first = 3;
  for (const int kept : s.keep) {
    const auto fd = static_cast<unsigned>(kept);
    if (fd > first) CHARLIE_TRY(detail::close_between(k, first, fd - 1));
    if (fd >= first) first = fd + 1;
  }
  return detail::close_between(k, first, ~0U);
}

namespace detail {

/// Is there a file at `path`? EACCES: a directory on the way to it may not be searched.
template <kernel::Kernel K>
Errno look_for(K& k, const char* path) noexcept {
  const auto found = kernel::openat(k, Fd::cwd, path, kernel::o_path);
  if (found.ok()) (void)kernel::close(k, found.value());
  return found.error();
}

/// Executes the file at `path`; returns why that failed. EACCES from openat is about a directory on
/// the way to the file.
template <kernel::Kernel K>
Error execute_file(K& k, const step::Execute& s, const char* path) noexcept {
  const Errno code = kernel::execve(k, path, s.argv, s.envp).error();
  const bool on_the_way = code == Errno::eacces && look_for(k, path) == Errno::eacces;
  return {code, on_the_way ? kernel::Call::openat : kernel::Call::execve, StepIndex::none, s.name};
}

/// As a shell does: tries a name without slash in each directory of the search path; EACCES is
/// reported only if no later directory has an executable file, that of a file before that of a
/// directory. An error about a file or a directory has the rest of the search path, from there on,
/// as its path (plan/search_path.hpp). ENOENT is about a file if its interpreter is missing: unless
/// some file may not be executed, a second pass looks for one. A separate function, since its
/// buffer would cost every launch a page fault.
template <kernel::Kernel K>
[[gnu::noinline]] Error search_and_execute(K& k, const step::Execute& s) noexcept {
  Error worst{Errno::enoent, kernel::Call::execve, StepIndex::none, s.name};
  bool looks = false;
  for (std::string_view rest = s.search_path;;) {
    TextBuffer<4096> path;
    write_candidate(path, rest, s.name);
    if (!path.truncated() && !looks) {
      Error error = execute_file(k, s, path.c_str());
      error.path = rest.data();
      if (error.code == Errno::eacces) {
        const bool is_first = worst.code == Errno::enoent;
        const bool is_worse =
            worst.operation == kernel::Call::openat && error.operation == kernel::Call::execve;
        if (is_first || is_worse) worst = error;
      } else if (error.code != Errno::enoent && error.code != Errno::enotdir) {
        return error;
      }
    } else if (!path.truncated() && look_for(k, path.c_str()) == Errno::none) {
      return {Errno::enoent, kernel::Call::execve, StepIndex::none, rest.data()};
    }
    const auto colon = rest.find(':');
    if (colon != std::string_view::npos) {
      rest.remove_prefix(colon + 1);
      continue;
    }
    const bool is_file = worst.code == Errno::eacces && worst.operation == kernel::Call::execve;
    if (looks || is_file) return worst;
    looks = true;
    rest = s.search_path;
  }
}

}  // namespace detail

/// Returns only on failure.
template <kernel::Kernel K>
Result<void> perform(K& k, AssemblyState&, const step::Execute& s) noexcept {
  if (s.name.view().find('/') != std::string_view::npos)
    return failure(detail::execute_file(k, s, s.name.c_str()));
  return failure(detail::search_and_execute(k, s));
}

}  // namespace ch
