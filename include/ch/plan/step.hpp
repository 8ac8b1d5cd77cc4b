// SPDX-License-Identifier: Apache-2.0
//
// Floor 3a. The steps that a container is made of, as plain data: no pointers to
// state, no behaviour, so that a plan can be printed, compared, tested without any
// privilege, and executed by several threads at once. Steps are described in description.hpp and
// performed in execute/ and meet/; if a new step lacks either, the compiler says so.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "ch/kernel/seccomp.hpp"
#include "ch/types/ids.hpp"
#include "ch/types/paths.hpp"

namespace ch {

/// Where the layer of an Overlay is, and when there is one.
enum class OverlayKind : std::uint8_t {
  if_needed,  // in scratch, read-only, and only if a mount point is missing
  scratch,    // in scratch; changes are lost at the end
  directory,  // in a directory of the host; changes are kept
};

namespace step {

// ---- which namespaces, and who we are in them -------------------------------------

/// Makes new namespaces; the first step of a new container. unshare(2) in place, or clone's flags
/// if a child is started anyway. `enter`, if not none, is a directory to change to just before (see
/// OpenImage), which clone can't do.
struct CreateNamespaces {
  NamespaceFlags flags{};
  Fd enter = Fd::none;
};

/// Joins the namespaces of a running process; the pidfd makes sure that it is the intended process
/// and not a later one with the same pid. Or joins the namespace that a file stands for; several
/// such steps may follow each other. setns(2), pidfd_open(2).
struct JoinNamespaces {
  Pid pid{};
  NamespaceFlags flags{};
  Fd held = Fd::none;  // a pidfd, if the caller has one already, or the open file
  ZString file{};      // the file's path, for messages
};

/// Finds the peers of the group `tag`. The first process is the creator and continues with the next
/// step; the others wait for its container, join its namespaces and continue after AdmitPeers.
/// `expected` 0: a living tag; while it lives, later processes join at once. man 7 unix, "Abstract
/// sockets".
struct MeetPeers {
  ZString tag{};
  std::uint32_t expected = 0;
  int rank = -1;              // of this process on this machine; -1: not known
  std::uint64_t timeout = 0;  // nanoseconds
};

/// For the creator: waits until all peers have arrived and sends them descriptors of the
/// namespaces, so that they don't depend on the creator's lifetime. Until then no peer continues.
struct AdmitPeers {
  MeetPeers group{};
};

/// Denies setgroups(2), which an ordinary user has to do before writing gid_map: otherwise a
/// process could drop a group that is *denied* access somewhere. man 7 user_namespaces,
/// "/proc/pid/setgroups".
struct DenySetgroups {};

/// Write uid_map and gid_map, which define the ids inside. They can be written only once. More than
/// one id must be mapped by a privileged process outside (newuidmap); `writer` is a socket to the
/// process that runs it. `more`: the ranges after the first, "INSIDE OUTSIDE COUNT, ...".
struct MapUsers {
  IdRange<Uid> range{};
  ZString more{};
  Fd writer = Fd::none;
};
struct MapGroups {
  IdRange<Gid> range{};
  ZString more{};
  Fd writer = Fd::none;
};

// ---- the tree of mounts ----------------------------------------------------------

/// Makes all mounts private, so that ours don't propagate to the host. Needed only without a user
/// namespace: with one, the kernel has already stopped that (man 7 mount_namespaces, "less
/// privileged").
struct MakePrivate {};

/// Copies the image's mount to a tree of our own, to become the root. Never grants what the host's
/// mount withholds. `access` read_only applies to mounts beneath it, too. A descriptor opened
/// before the mount namespace was made can't be mounted, so the path is looked up again;
/// `directory`, if the caller has opened the image before, must be the same directory (else
/// ESTALE). An image found by descriptor alone is passed on as the working directory, which the
/// kernel moves to the new mount namespace: PlanBuilder makes CreateNamespaces enter it, and the
/// path is for messages only.
struct OpenImage {
  HostPath image{};
  Access access = Access::read_only;
  Fd directory = Fd::none;
  FoundBy by = FoundBy::path;
};

/// A tmpfs for generated files and directories. It is never visible under a path of the host, so
/// nothing of it can be left behind. `size` as for tmpfs ("64m", "12%"); empty: half of the memory.
struct MakeScratch {
  ZString size{};
};

/// A layer over the image: changes go there, and the image stays unchanged. Missing mount points
/// are made in the layer, before it is mounted. A layer of kind `directory` can be used by one
/// container at a time (EBUSY), over the image that it was made for (ESTALE). Kernel 5.11.
struct Overlay {
  OverlayKind kind{};
  HostPath directory{};  // of kind `directory`: holds the layer between runs
};

struct MakeScratchDirectory {
  ScratchPath path{};
};

/// A small regular file in the scratch file system.
struct WriteScratchFile {
  ScratchPath path{};
  std::string_view content{};
};

/// A symbolic link in the container, with the directories above it where these are missing:
/// in the image if that is writable, else in a layer over it. An existing link of that name is
/// replaced.
struct MakeLink {
  ZString target{};  // as readlink(2) returns it; need not exist
  ImagePath destination{};
};

/// Binds a host file or tree, with the mounts beneath it, at a path in the container.
struct Bind {
  HostPath source{};
  ImagePath destination{};
  Access access = Access::read_write;
  IfMissing if_missing = IfMissing::fail;
};

/// Binds a part of the scratch file system at a path in the container.
struct BindScratch {
  ScratchPath source{};
  ImagePath destination{};
  Access access = Access::read_only;
  IfMissing if_missing = IfMissing::fail;
};

/// Mounts a new kernel file system (tmpfs, proc, mqueue, sysfs) at a path in the container. All but
/// tmpfs show the namespaces of the process that mounts them.
struct MountFilesystem {
  ZString type{};
  ImagePath destination{};
};

/// Makes the assembled tree the root and detaches the host's. pivot_root(2), not chroot: in a
/// chroot the kernel refuses further user namespaces, and the host's tree would stay reachable.
struct EnterRoot {};

// ---- the process ----------------------------------------------------------------

struct ChangeDirectory {
  ImagePath path{};
  IfMissing if_missing = IfMissing::fail;
};

/// No program from here on gains privilege by being executed (set-uid bits, file
/// capabilities). Not reversible. prctl(2), PR_SET_NO_NEW_PRIVS.
struct ForbidNewPrivileges {};

/// Sets the host name in the container's own uts namespace.
struct SetHostname {
  ZString name{};
};

/// Duplicates the open descriptor `from` to `to`: 0, 1 or 2, the program's standard input, output
/// or error. `from` stays open. dup3(2).
struct Redirect {
  Fd from = Fd::none;
  Fd to = Fd::none;
};

/// Closes descriptors from 3 on when the program starts, except for those in `keep` (ascending),
/// which stay open even if they were close-on-exec: a leaked one may lead back to the host's root
/// directory (CVE-2024-21626).
struct CloseDescriptors {
  std::span<const int> keep{};
};

/// Installs a seccomp filter for everything that follows; needs no_new_privs. kernel/seccomp.hpp.
struct InstallFilter {
  std::span<const kernel::BpfInstruction> program{};
};

/// Executes the program. `name` without a slash is looked up in `search_path`, which is the
/// *container's* PATH. argv and envp end in null, as for execve(2).
struct Execute {
  ZString name{};
  const char* const* argv = nullptr;
  const char* const* envp = nullptr;
  ZString search_path{};
};

}  // namespace step

/// One step. All alternatives are trivially copyable, so a Step is a plain value.
using Step =
    std::variant<step::CreateNamespaces, step::JoinNamespaces, step::MeetPeers, step::AdmitPeers,
                 step::DenySetgroups, step::MapUsers, step::MapGroups, step::MakePrivate,
                 step::OpenImage, step::MakeScratch, step::Overlay, step::MakeScratchDirectory,
                 step::WriteScratchFile, step::MakeLink, step::Bind, step::BindScratch,
                 step::MountFilesystem, step::EnterRoot, step::SetHostname, step::ChangeDirectory,
                 step::ForbidNewPrivileges, step::InstallFilter, step::Redirect,
                 step::CloseDescriptors, step::Execute>;
static_assert(std::is_trivially_copyable_v<Step>);

/// The path in the container at which a step creates or mounts something; null for other steps.
template <class... Kinds>
[[nodiscard]] constexpr const ImagePath* destination_of(
    const std::variant<Kinds...>& step) noexcept {
  const ImagePath* found = nullptr;
  const auto look = [&]<class S>(const S* s) noexcept {
    if constexpr (requires { s->destination; })
      if (s != nullptr) found = &s->destination;
  };
  (look(std::get_if<Kinds>(&step)), ...);
  return found;
}

}  // namespace ch
