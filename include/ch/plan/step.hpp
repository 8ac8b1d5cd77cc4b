// SPDX-License-Identifier: Apache-2.0
//
// Floor 3a. The steps that a container is made of, as plain data: no pointers to
// state, no behaviour, so that a plan can be printed, compared, tested without any
// privilege, and executed by several threads at once. What there is to say of a step is in
// description.hpp, what it *does* in execute/ and meet/; the compiler names what a new step
// lacks.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "ch/kernel/seccomp.hpp"
#include "ch/types/ids.hpp"
#include "ch/types/paths.hpp"

namespace ch {

/// Where the writable layer of an Overlay lies, and when there is one.
enum class OverlayKind : std::uint8_t {
  if_needed,  // in scratch, read-only, and only if a mount point is missing
  scratch,    // in scratch; changes are gone at the end
  directory,  // in a directory of the host, to be kept
};

namespace step {

// ---- which namespaces, and who we are in them -------------------------------------

/// New namespaces for the process; the first step of a container that we make.
/// unshare(2) in place, or clone's flags where a child is started anyway. `enter`, if not none, is
/// a directory to enter just before, see OpenImage; clone can't.
struct CreateNamespaces {
  NamespaceFlags flags{};
  Fd enter = Fd::none;
};

/// The namespaces of a running process instead of new ones. The pidfd makes sure that
/// it is the process meant and not a later one with its number. Or the namespace of a file; then
/// there may be several such steps, one after the other. setns(2), pidfd_open(2).
struct JoinNamespaces {
  Pid pid{};
  NamespaceFlags flags{};
  Fd held = Fd::none;  // a pidfd, where the caller holds the process already; or the file
  ZString file{};      // what that is named, for people
};

/// Finds the peers of the group `tag`. The first to come is the creator and goes on with
/// the next step; the others wait for its container, take its namespaces and go on after
/// AdmitPeers. `expected` 0: a tag that lives; who comes when it does joins it at once.
/// man 7 unix, "Abstract sockets".
struct MeetPeers {
  ZString tag{};
  std::uint32_t expected = 0;
  int rank = -1;              // of this process on this machine; -1: not known
  std::uint64_t timeout = 0;  // nanoseconds
};

/// The creator's: waits until all peers are there and hands them the namespaces, as
/// descriptors, so that it need not live any longer. Until then none goes on.
struct AdmitPeers {
  MeetPeers group{};
};

/// Gives up setgroups(2), which the kernel demands of an ordinary user before gid_map:
/// a process could otherwise drop a group that is *denied* access somewhere.
/// man 7 user_namespaces, "/proc/pid/setgroups".
struct DenySetgroups {};

/// The lines of uid_map and of gid_map: what ids we have inside. Written once, ever. More than one
/// id has to be written by a process outside, with privilege (newuidmap); `writer` is a socket to
/// whoever has that done. `more`: the ranges after the first, "INSIDE OUTSIDE COUNT, ...".
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

/// Cuts every mount off from the host's, so that ours don't appear there. Needed only
/// without a user namespace: with one, the kernel has done it already (man 7
/// mount_namespaces, "less privileged").
struct MakePrivate {};

/// Copies the image's mount to a tree of our own, to be the root. Never grants what
/// the host's mount withholds. `access` read_only covers mounts beneath it too. A descriptor
/// from before the mount namespace was made can't be mounted, so the path is looked up; whoever
/// has looked into the image before says by `directory` which one it was (ESTALE: another).
/// Found by that descriptor alone, it comes along as the working directory, which the kernel moves
/// to the new mount namespace: so PlanBuilder has CreateNamespaces enter it, and the path only
/// names the image to people.
struct OpenImage {
  HostPath image{};
  Access access = Access::read_only;
  Fd directory = Fd::none;
  FoundBy by = FoundBy::path;
};

/// A tmpfs for generated files and directories. It is never visible under a path of
/// the host, so nothing of it can be left behind.
/// `size` as tmpfs takes it ("64m", "12%"); empty: half of the memory.
struct MakeScratch {
  ZString size{};
};

/// A writable layer over the image: what changes goes there, the image stays as it is.
/// Missing mount points are made in it, before it is mounted. One of kind `directory` is for one
/// container at a time (EBUSY) and for the image that it was made over (ESTALE). kernel 5.11.
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
/// in the image if that is writable, else in a layer over it. A link of that name gives way.
struct MakeLink {
  ZString target{};  // as readlink(2) returns it; need not exist
  ImagePath destination{};
};

/// Shows a host file or tree, with the mounts beneath it, at a path of the container.
struct Bind {
  HostPath source{};
  ImagePath destination{};
  Access access = Access::read_write;
  IfMissing if_missing = IfMissing::fail;
};

/// Shows a part of the scratch file system at a path of the container.
struct BindScratch {
  ScratchPath source{};
  ImagePath destination{};
  Access access = Access::read_only;
  IfMissing if_missing = IfMissing::fail;
};

/// A new file system of the kernel's (tmpfs, proc, mqueue, sysfs) at a path of the
/// container. proc and its kin show the namespaces of the process that mounts them.
struct MountFilesystem {
  ZString type{};
  ImagePath destination{};
};

/// Makes the assembled tree the root and lets go of the host's. pivot_root(2), not
/// chroot: in a chroot the kernel refuses further user namespaces, and the host's tree
/// would stay reachable.
struct EnterRoot {};

// ---- the process ----------------------------------------------------------------

struct ChangeDirectory {
  ImagePath path{};
  IfMissing if_missing = IfMissing::fail;
};

/// No program from here on gains privilege by being executed (set-uid bits, file
/// capabilities). Not reversible. prctl(2), PR_SET_NO_NEW_PRIVS.
struct ForbidNewPrivileges {};

/// The name that the container's processes see; in a uts namespace of their own.
struct SetHostname {
  ZString name{};
};

/// Descriptor `from`, which is open already, takes the place of `to`: 0, 1 or 2, the program's
/// standard input, output or error. `from` stays as it is. dup3(2).
struct Redirect {
  Fd from = Fd::none;
  Fd to = Fd::none;
};

/// Descriptors from 3 on close when the program starts, but for those in `keep`
/// (ascending), which stay open even if they were close-on-exec: one that leaks may be the
/// way back to the host's root directory (CVE-2024-21626).
struct CloseDescriptors {
  std::span<const int> keep{};
};

/// A seccomp filter for all that comes; needs no_new_privs. kernel/seccomp.hpp.
struct InstallFilter {
  std::span<const kernel::BpfInstruction> program{};
};

/// Becomes the program. `name` without a slash is looked for in `search_path`, which
/// is the *container's* PATH. argv and envp end in null, as execve(2) wants.
struct Execute {
  ZString name{};
  const char* const* argv = nullptr;
  const char* const* envp = nullptr;
  std::string_view search_path{};
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

/// Where a step wants to put something in the container; null for other steps.
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
