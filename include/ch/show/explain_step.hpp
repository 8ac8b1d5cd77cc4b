// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. The rules of explain.hpp for each kind of step: what its errors mean, and what to do.
// One rule per situation, first match wins.
// Source: the ERRORS sections of man 2 unshare, open_tree(2), pivot_root, execve; man 7
// user_namespaces.
#pragma once

#include "ch/plan/plan.hpp"
#include "ch/show/explanation.hpp"
#include "ch/show/host_limits.hpp"
#include "ch/types/errno_text.hpp"

namespace ch {

namespace detail {

inline constexpr const char* in_order =
    "name a file for each kind in their order, the user namespace first";
inline constexpr const char* own_containers = "name the command of one of your own containers";
inline constexpr const char* ask_administrator =
    "ask the administrator of this host whether users may make user namespaces";

[[nodiscard]] constexpr Explanation explain_namespaces(const Error& e,
                                                       const HostLimits& l) noexcept {
  if (l.max_user_namespaces.is(0))
    return {"user namespaces are switched off: the sysctl user.max_user_namespaces is 0",
            "the administrator can allow them: sysctl -w user.max_user_namespaces=10000"};
  if (l.max_mnt_namespaces.is(0))
    return {"mount namespaces are switched off: the sysctl user.max_mnt_namespaces is 0",
            "the administrator can allow them: sysctl -w user.max_mnt_namespaces=10000"};
  if (l.unprivileged_userns_clone.is(0))
    return {"user namespaces are for root only: the sysctl kernel.unprivileged_userns_clone is 0",
            "the administrator can allow them: sysctl -w kernel.unprivileged_userns_clone=1"};
  if (l.chrooted && e.code == Errno::eperm)
    return {"this process is in a chroot, where the kernel refuses user namespaces",
            "start it outside, or have the chroot made with pivot_root"};
  if (l.apparmor_restricts_userns.is(1) && (e.code == Errno::eperm || e.code == Errno::eacces))
    return {"AppArmor restricts user namespaces: kernel.apparmor_restrict_unprivileged_userns is 1",
            "the administrator can install an AppArmor profile for this program that allows "
            "userns, or set the sysctl to 0"};
  if (e.code == Errno::enospc)
    return {
        "a limit on the number of namespaces is reached (user.max_*_namespaces), or they are "
        "nested 32 deep",
        "wait for containers to end, or ask the administrator to raise the sysctls"};
  if (l.seccomp.is(2) && (e.code == Errno::eperm || e.code == Errno::enosys))
    return {"a seccomp filter, probably of an outer container, forbids new namespaces",
            "allow unshare, clone and mount in the outer container's seccomp profile"};
  if (e.code == Errno::eperm)
    return {
        "the host does not let this user make user namespaces, or the uid or gid of this "
        "process has no mapping in an outer container",
        ask_administrator};
  if (e.code == Errno::einval)
    return {"this kernel lacks one of the namespaces, or the process has several threads",
            "use spawn in a threaded program; compare the kernel's configuration (CONFIG_USER_NS)"};
  return {};
}

struct Explain {
  const Error& e;
  const HostLimits& l;

  constexpr Explanation operator()(const step::CreateNamespaces&) const noexcept {
    if (e.operation == kernel::Call::fchdir)
      return {"the image's directory can't be entered", "check that you may search it (mode x)"};
    return explain_namespaces(e, l);
  }
  constexpr Explanation operator()(const step::JoinNamespaces&) const noexcept {
    if (e.code == Errno::esrch)
      return {"there is no process with this number (any more)", "look it up again with ps"};
    const bool is_file = !e.path.empty();
    if (e.code == Errno::einval)
      return {is_file ? "this is no namespace of that kind, or you are in it already"
                      : "it is in no container, or in the one that you are in already",
              is_file ? in_order : own_containers};
    if (e.code == Errno::eperm || e.code == Errno::eacces)
      return {is_file ? "it is another user's, or belongs to a user namespace not joined yet"
                      : "it is another user's, or the init of a pid namespace, which is closed",
              is_file ? in_order : own_containers};
    return refused();
  }
  constexpr Explanation operator()(const step::MeetPeers&) const noexcept { return group(); }
  constexpr Explanation operator()(const step::AdmitPeers&) const noexcept { return group(); }
  constexpr Explanation operator()(const step::MapUsers&) const noexcept { return map(); }
  constexpr Explanation operator()(const step::MapGroups&) const noexcept { return map(); }
  constexpr Explanation operator()(const step::OpenImage&) const noexcept {
    if (e.code == Errno::enoent)
      return {"there is nothing at this path on the host", {}, Remedy::unpack_first};
    if (e.code == Errno::estale)
      return {"the image was replaced while the container was being made", "start it again"};
    if (e.code == Errno::enotdir)
      return {"this is not a directory, but an image must be one", {}, Remedy::unpack_first};
    return refused();
  }
  constexpr Explanation operator()(const step::Bind& s) const noexcept {
    return mount(s.source.text, s.destination.text);
  }
  constexpr Explanation operator()(const step::MakeLink& s) const noexcept {
    if (e.code == Errno::eexist || e.code == Errno::eisdir)
      return {
          "the image has a file or directory of this name, which only a layer over the image "
          "could hide, and there is none: the image is writable, or the kernel has no overlays "
          "for users",
          {},
          Remedy::keep_image_read_only};
    if (e.code == Errno::enoent)
      return {"the image lacks it, and this kernel has no overlays for users to make it in",
              "make the link in the image"};
    return mount({}, s.destination.text);
  }
  constexpr Explanation operator()(const step::MakeScratch& s) const noexcept {
    if (!s.size.empty() && e.path == s.size)
      return {"this is not a size that a file system in memory can have",
              "give a number of bytes, with k, m or g after it, or a percentage of the memory"};
    return refused();
  }
  constexpr Explanation operator()(const step::MakeScratchDirectory&) const noexcept {
    return scratch();
  }
  constexpr Explanation operator()(const step::WriteScratchFile&) const noexcept {
    if (e.code == Errno::efbig)
      return {
          "the limit on the size of files is too low for this file, which the launch creates "
          "in memory",
          "raise it: ulimit -f unlimited"};
    return scratch();
  }
  constexpr Explanation operator()(const step::BindScratch& s) const noexcept {
    return mount(s.source.text, s.destination.text);
  }
  constexpr Explanation operator()(const step::MountFilesystem& s) const noexcept {
    if (e.code == Errno::eperm && std::string_view(s.type) == "proc")
      return {
          "the kernel refuses a new /proc where parts of the old one are hidden, as they are "
          "in many containers",
          "leave out the pid namespace here"};
    return mount({}, s.destination.text);
  }
  constexpr Explanation operator()(const step::Overlay& s) const noexcept {
    if (e.code == Errno::enodev)
      return {"this kernel has no overlay file system, or its module is not loaded",
              "make the missing mount points in the image, or have an administrator run: modprobe "
              "overlay"};
    if (e.code == Errno::ebusy)
      return {"another container uses this directory, and two would corrupt it",
              {},
              Remedy::share_layer};
    if (e.code == Errno::estale)
      return {
          "this layer was made over another image, or over this one before it was unpacked "
          "again: the file made-over in the directory names it",
          "choose another directory, or remove that file to use the layer over this image"};
    if (e.code == Errno::einval && e.operation == kernel::Call::none)
      return {"the directory lies in the image, or the image in its layer",
              "choose a directory outside the image"};
    if (e.code == Errno::enospc && s.kind == OverlayKind::directory)
      return {"the file system of the directory is full", "make room there"};
    if (e.code == Errno::enospc) return scratch();
    if (e.operation == kernel::Call::open_tree)
      return {
          "file systems are mounted inside the image, and a user's overlay must not show what "
          "is beneath them",
          {},
          Remedy::write_to_image};
    if (e.code == Errno::exdev) return beneath_a_mount();
    if (e.operation != kernel::Call::mkdirat && e.operation != kernel::Call::openat &&
        (e.code == Errno::eperm || e.code == Errno::einval || e.code == Errno::enosys))
      return {
          "overlays without privilege need Linux 5.12 or newer, and a layer on a file system "
          "that can carry them (not NFS or Lustre)",
          {},
          Remedy::make_mount_points};
    if (e.path == s.directory.text && !s.directory.empty())
      return {"the directory of the overlay can't be made or used", "choose one of your own"};
    return refused();
  }
  constexpr Explanation operator()(const step::InstallFilter&) const noexcept {
    return {"this kernel has no seccomp filters, or an outer filter forbids more of them",
            {},
            Remedy::drop_filter};
  }
  constexpr Explanation operator()(const step::SetHostname&) const noexcept {
    if (e.code == Errno::einval)
      return {"the name is longer than 64 bytes", "choose a shorter one"};
    return {"the host name can only be set in a uts namespace of the container's own",
            "add uts to the namespaces"};
  }
  constexpr Explanation operator()(const step::EnterRoot&) const noexcept {
    if (e.operation == kernel::Call::pivot_root && e.code == Errno::einval)
      return {"the host's root is its initial ramfs, which can't be moved",
              "boot with a root that is mounted (switch_root)"};
    return refused();
  }
  constexpr Explanation operator()(const step::ChangeDirectory&) const noexcept {
    if (is_missing_code(e.code))
      return {"there is no such directory in the container",
              "name one that the image or a bind has"};
    if (e.code == Errno::eloop)
      return {
          "the path goes through a link of /proc that may lead out of the container, or its "
          "links form a loop",
          "name the directory itself"};
    return refused();
  }
  constexpr Explanation operator()(const step::Execute& s) const noexcept {
    const bool is_path = s.name.view().find('/') != std::string_view::npos;
    if (e.code == Errno::enoent)  // of a name: the error is about it, or about what PATH led to
      return is_path || e.path != s.name
                 ? Explanation{"the container has no such file, or its interpreter (the #! line, "
                               "or the dynamic loader of another libc) is missing",
                               "look with: ls -l in a shell of the same image"}
                 : Explanation{"no directory of the container's PATH has this program",
                               "check the spelling, install it in the image, or give its path"};
    if (e.code == Errno::eacces && e.operation == kernel::Call::openat)
      return is_path
                 ? unsearchable()
                 : Explanation{
                       "you may not search a directory on the way to it, and no other directory "
                       "of PATH has the program",
                       "install it in another one, or give its path"};
    if (e.code == Errno::eacces)
      return {"the file is not executable, is a directory, or lies on a noexec mount",
              "chmod +x it in the image"};
    if (e.code == Errno::enoexec)
      return {
          "the file is not a program for this machine: another architecture, or a "
          "script without a #! line",
          "start scripts through their interpreter; compare file(1) with uname -m"};
    if (e.code == Errno::e2big)
      return {"arguments and environment together are too large", "pass fewer or shorter ones"};
    return refused();
  }
  template <class S>
  constexpr Explanation operator()(const S&) const noexcept {
    return refused();
  }

 private:
  static constexpr bool is_missing_code(Errno code) noexcept {
    return code == Errno::enoent || code == Errno::enotdir;
  }
  [[nodiscard]] constexpr Explanation scratch() const noexcept {
    if (e.code == Errno::enospc)
      return {"what the container needs for itself does not fit in its tmpfs",
              {},
              Remedy::enlarge_scratch};
    return refused();
  }
  /// The group's own finding is more specific than the errno.
  [[nodiscard]] constexpr Explanation group() const noexcept {
    if (!e.why.empty()) return group_remedy(e.why);
    if (e.operation == kernel::Call::dup3)
      return {"a living tag takes descriptor 200, and the limit on open files is below that",
              "raise it: ulimit -n"};
    return refused();
  }
  [[nodiscard]] constexpr Explanation group_remedy(TextAddress why) const noexcept {
    switch (e.code) {
      case Errno::etimedout:
        return {why, {}, Remedy::await_peers};
      case Errno::einval:
        if (e.operation == kernel::Call::none) return {why, ""};  // the plan is wrong
        [[fallthrough]];
      case Errno::eusers:
        return {why, {}, Remedy::count_peers};
      case Errno::econnreset:
      case Errno::ecanceled:
        return {why, "see that process's own messages, and start all peers again"};
      case Errno::eperm:
        return {why,
                "have an administrator load the module unix_diag, or allow pidfd_getfd and "
                "netlink sockets in the outer seccomp filter"};
      case Errno::eproto:
        return {why, "use the same version for all peers"};
      case Errno::eoverflow:
        return {why, {}, Remedy::change_uid};
      case Errno::eaddrinuse:
        return {why, {}, Remedy::change_tag};
      default:
        return {why, ""};
    }
  }
  [[nodiscard]] constexpr Explanation map() const noexcept {
    if (e.code == Errno::einval) return {"the id is out of range", "choose one below 4294967295"};
    return explain_namespaces(e, l);
  }
  [[nodiscard]] constexpr Explanation mount(ZString source, ZString destination) const noexcept {
    const bool looked_up =  // in the image: by openat2, or by hand
        e.operation == kernel::Call::openat2 || e.operation == kernel::Call::openat ||
        e.operation == kernel::Call::statx || e.operation == kernel::Call::readlinkat;
    const bool inside = e.path == destination && (looked_up || source != destination);
    if (e.code == Errno::exdev) return beneath_a_mount();
    if (e.operation == kernel::Call::move_mount && e.code == Errno::enotdir)
      return {"one of source and destination is a directory and the other a file",
              "bind directories on directories and files on files"};
    if (is_missing_code(e.code) && inside)
      return {"the image has no such mount point, or a link in it leads nowhere",
              "make it in the image (mkdir, or touch for a file)"};
    if (is_missing_code(e.code) && !source.empty())
      return {e.code == Errno::enoent
                  ? "there is nothing at this path on the host"
                  : "a part of the path is a file, or it is a file and the destination is not",
              "check the source"};
    if (e.code == Errno::eloop)
      return {"links at this path of the image form a loop", "repair the link in the image"};
    return refused();
  }
  [[nodiscard]] constexpr Explanation beneath_a_mount() const noexcept {
    return {
        "the path is in something mounted earlier, such as the host's /tmp or another "
        "bind, in which nothing is created",
        "create it there yourself, or choose another place"};
  }
  [[nodiscard]] static constexpr Explanation unsearchable() noexcept {
    return {"you may not search a directory of the path", "check it with: namei -l PATH"};
  }
  [[nodiscard]] constexpr Explanation refused() const noexcept {
    if (e.code == Errno::enosys) return lacks_call;
    if ((e.code == Errno::eperm || e.code == Errno::eacces) && l.apparmor_restricts_userns.is(1))
      return explain_namespaces(e, l);
    if (e.code == Errno::eacces && e.operation == kernel::Call::mkdirat)
      return {"you may not write to the directory that it would be made in", "chmod u+w"};
    if (e.code == Errno::eacces) return unsearchable();
    if (e.code == Errno::enospc)
      return {"a limit on mounts is reached (the sysctl fs.mount-max)",
              "bind fewer trees, or ask the administrator to raise it"};
    return {};
  }
};

}  // namespace detail
}  // namespace ch
