// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. Why namespaces can't be joined: the kernel has two error numbers for many reasons, so
// the process or the file is looked at again. Source: the ERRORS section of man 2 setns; man 2
// ioctl_ns, pidfd_open; man 2 ptrace, "Ptrace access mode checking".
#pragma once

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "ch/kernel/owned_fd.hpp"
#include "ch/plan/plan.hpp"
#include "ch/policies/ns/namespace_set.hpp"

namespace ch::detail {

/// The members of Failure that are known better. Empty cause: not known.
struct JoinProblem {
  std::string attempted{};
  std::string path{};
  std::string cause{};
  std::string remedy{};

  void explain(std::string why, std::string what_to_do) {
    cause = std::move(why);
    remedy = std::move(what_to_do);
  }
};

inline constexpr const char* join_own = "join only your own containers";

/// "user namespace", "user and mount namespaces" ...
[[nodiscard]] inline std::string names_of(NamespaceFlags flags) {
  std::vector<std::string> names;
  for (const NamespaceKind& kind : namespace_kinds)
    if (contains(flags, kind.flag))
      names.emplace_back(kind.flag == ns::mount::flag ? "mount" : kind.name);
  std::string all;
  for (std::size_t i = 0; i < names.size(); ++i)
    all += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  return all + (names.size() == 1 ? " namespace" : " namespaces");
}

/// Explains why this process may not look into the one at `process` in /proc, whose files belong to
/// `owner` there: to root also if it has changed its user or is not dumpable.
inline void examine_closed(JoinProblem& problem, const std::string& process, uid_t owner) {
  const std::string number = process.substr(process.rfind('/') + 1);
  if (owner == 0)
    return problem.explain("process " + number +
                               " belongs to root, or has closed itself to others, as the init of a "
                               "pid namespace does",
                           "join only your own containers; where that is an init, join its child: "
                           "pgrep -P " +
                               number);
  problem.explain("process " + number + " belongs to user " + std::to_string(owner) +
                      ", and this one may not look into it",
                  join_own);
}

/// Do both files stand for the same namespace?
[[nodiscard]] inline bool same_namespace(int fd, const char* path) noexcept {
  struct stat a {};
  struct stat b {};
  return ::fstat(fd, &a) == 0 && ::stat(path, &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

/// Explains EPERM for the namespace of `file`, of kind `kind`, if its owner is the reason.
inline void examine_owner(JoinProblem& problem, int file, NamespaceFlags kind) {
  if (kind == ns::user::flag) {
    const kernel::OwnedFd parent(::ioctl(file, NS_GET_PARENT));
    uid_t owner = 0;
    if (!parent && errno == EPERM)
      problem.explain("it is not below the user namespace of this process", join_own);
    else if (::ioctl(file, NS_GET_OWNER_UID, &owner) == 0 && owner != ::geteuid())
      problem.explain("it belongs to user " + std::to_string(owner), join_own);
    return;
  }
  const kernel::OwnedFd owner(::ioctl(file, NS_GET_USERNS));
  if (!owner)
    problem.explain("it belongs to a user namespace that is not below that of this process",
                    join_own);
  else if (same_namespace(owner.get(), "/proc/self/ns/user"))
    problem.explain(
        "it belongs to the user namespace of this process, which has no privilege there", join_own);
  else
    problem.explain("it belongs to a user namespace that has not been joined",
                    "name that user namespace, too, and first");
}

/// Explains why setns refuses the namespace of `file`, of kind `kind`, with `code`. `by_file`: not
/// found by a process.
inline void examine_namespace(JoinProblem& problem, int file, NamespaceFlags kind, Errno code,
                              bool by_file) {
  constexpr decltype(statfs::f_type) nsfs_magic = 0x6e736673;
  struct statfs system {};
  if (::fstatfs(file, &system) != 0 || system.f_type != nsfs_magic)
    return problem.explain(
        "this file stands for no namespace",
        "name one that does, such as /proc/PID/ns/net, or a file where that is bind-mounted");
  const int type = ::ioctl(file, NS_GET_NSTYPE);  // Linux 4.11
  const auto its = type == -1 ? kind : static_cast<NamespaceFlags>(type);
  if (its != kind)
    return problem.explain("this file stands for a " + names_of(its),
                           "name a file of each kind, in the order of the kinds");
  if (code == Errno::eperm) return examine_owner(problem, file, kind);
  if (code != Errno::einval) return;
  if (kind == ns::user::flag && same_namespace(file, "/proc/self/ns/user")) {
    if (by_file)
      problem.explain("this process is in this user namespace already", "leave it out");
    else
      problem.explain(
          "both processes are in the same user namespace: the other one is in no "
          "container, or in the one that this process is in",
          "name a process in another container");
  } else if (kind == ns::pid::flag) {
    problem.explain("it is not below the pid namespace of this process",
                    "start this process outside the other container");
  } else if (kind == ns::user::flag || kind == ns::mount::flag) {
    problem.explain("a process with several threads can't enter it", "run, spawn or call there");
  }
}

/// Explains why a process's namespaces can't be joined.
inline void examine_process(JoinProblem& problem, const Error& error,
                            const step::JoinNamespaces& s) {
  const std::string number = std::to_string(static_cast<int>(s.pid));
  const std::string process = "/proc/" + number;
  problem.attempted += " of process " + number;
  struct stat status {};
  if (s.pid < Pid::none)
    return problem.explain("the number of a process is greater than 0", "look it up with ps");
  if (error.code == Errno::esrch || ::stat(process.c_str(), &status) != 0) return;
  if (error.operation == kernel::Call::pidfd_open) {
    if (error.code == Errno::einval || error.code == Errno::enoent)
      problem.explain("this is the number of a thread",
                      "name its process: the Tgid in " + process + "/status");
    return;
  }
  for (const NamespaceKind& kind : namespace_kinds) {
    if (!contains(s.flags, kind.flag)) continue;
    const std::string path = process + "/ns/" + kind.name;
    const kernel::OwnedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file)
      examine_namespace(problem, file.get(), kind.flag, error.code, false);
    else if (errno == EACCES || errno == EPERM)
      examine_closed(problem, process, status.st_uid);
    if (problem.cause.empty()) continue;
    problem.attempted = "join the " + names_of(kind.flag);
    problem.path = path;
    return;
  }
}

/// What is known of `error`, which joining by `s` has returned in a child of this process or here.
[[nodiscard]] inline JoinProblem explain_join(const Error& error, const step::JoinNamespaces& s) {
  JoinProblem problem{.attempted = "join the " + names_of(s.flags),
                      .path = std::string(s.file.view())};
  if (s.file.empty())
    examine_process(problem, error, s);
  else if (error.operation == kernel::Call::setns)
    examine_namespace(problem, static_cast<int>(s.held), s.flags, error.code, true);
  return problem;
}

/// Why the file of a namespace can't be opened: `code` says so.
[[nodiscard]] inline JoinProblem explain_unopened(const std::string& path, NamespaceFlags kind,
                                                  int code) {
  JoinProblem problem{.attempted = "open the file of the " + names_of(kind), .path = path};
  constexpr std::string_view proc = "/proc/";
  const std::string process = path.substr(0, path.find('/', proc.size()));
  const bool is_process = head(path, proc.size()) == proc && path.size() > proc.size() &&
                          path[proc.size()] >= '1' && path[proc.size()] <= '9';
  struct stat status {};
  const bool is_there = is_process && ::stat(process.c_str(), &status) == 0;
  const char* const remedy = "name a file that stands for a namespace, such as /proc/PID/ns/net";
  if (code == ENOENT && is_process && !is_there)
    problem.explain("there is no process with this number (any more)", "look it up again with ps");
  else if (code == ENOENT || code == ENOTDIR)
    problem.explain("there is no such file", remedy);
  else if (code == EACCES && is_there)
    examine_closed(problem, process, status.st_uid);
  else if (code == EACCES)
    problem.explain("you may not read it, or not search a directory of its path", remedy);
  return problem;
}

}  // namespace ch::detail
