// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. Causes and remedies of errors by their number alone, for calls that belong to no plan:
// those of show/explanation.hpp with the numbers of this process and its host, and those of files.
// Source: man 2 getrlimit; man 7 cgroups; the kernel's cgroup-v2.rst, "PID".
#pragma once

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>

#include "ch/show/explanation.hpp"
#include "ch/show/host_limits.hpp"

namespace ch::detail {

/// What an error of a file of the host means; empty if its number says it all.
[[nodiscard]] constexpr Explanation explain_file(Errno code) noexcept {
  switch (code) {
    case Errno::enospc:
      return {"no space or no inodes are left there",
              "free some space or inodes there (df, df -i), or use another file system"};
    case Errno::edquot:
      return {"your quota there is used up",
              "free some of it (quota -s), or use another file system"};
    case Errno::efbig:
      return {"the limit on the size of files is reached",
              "raise the limit on the size of files: ulimit -f unlimited"};
    case Errno::erofs:
      return {"the file system there is read-only",
              "use a writable file system; an image can be copied there"};
    case Errno::eacces:
    case Errno::eperm:
      return {"its permissions, or those of a directory on the way to it, don't allow this",
              "use files that you may read, and a directory that you may write to"};
    case Errno::exdev:
      return {"the path goes through a mount",
              "another file system is mounted inside there; unmount it first"};
    default:
      return {};
  }
}

/// Why this process may not use its own files in /proc; empty if it may. The child that executes a
/// plan shares its memory, on which that depends. Source: man 2 PR_SET_DUMPABLE; man 5 proc_pid.
[[nodiscard]] inline Explanation explain_own_proc() noexcept {
  if (::prctl(PR_GET_DUMPABLE) == 1) return {};
  return {
      "this process has changed its user or group, runs a program file that it may not read, or "
      "asked not to be dumped: its files in /proc are root's",
      "prctl(PR_SET_DUMPABLE, 1), if its memory holds no secrets, or start from another process"};
}

/// What an error of `call` means, whatever step makes it; empty if its number says it all.
[[nodiscard]] constexpr Explanation explain_call(Errno code, kernel::Call call) noexcept {
  const Explanation limit = explain_limit(code, call);
  if (!limit.cause.empty()) return limit;
  switch (code) {
    case Errno::eperm:
      if (call == kernel::Call::none) break;
      return {
          "you lack the privilege, or a seccomp filter of an outer container or a security "
          "module forbids the call",
          "if an outer container does, allow it in its profile; the kernel's log (dmesg) may "
          "name the module"};
    case Errno::enosys:
      return lacks_call;
    case Errno::eio:
      return {"the disk or the file server failed", "look into the kernel's log: dmesg"};
    case Errno::estale:
      return {"the file server has replaced the file meanwhile", "start it again"};
    case Errno::ebadf:
      return {"a descriptor that is needed is not open", "keep it open until this has started"};
    case Errno::eloop:
      return {"links at this path form a loop", "repair the link, or name what it should lead to"};
    case Errno::enotdir:
      return {"a part of the path is a file, not a directory", "check the path"};
    case Errno::enametoolong:
      return {"the path has more than 4095 bytes, or a name in it more than 255",
              "use a shorter one"};
    case Errno::etxtbsy:
      return {"the file is still open for writing", "close it, or wait for its writer, first"};
    default:
      break;
  }
  return explain_file(code);
}

/// The cgroup, ours or one above, that has as many processes as it may, with its limit; else empty.
[[nodiscard]] inline std::string full_cgroup(const char* own = "/proc/self/cgroup",
                                             const std::string& mounted = "/sys/fs/cgroup") {
  kernel::Linux k;
  std::string found;
  for_each_line(k, own, [&](std::string_view line) {
    constexpr std::string_view unified = "0::";
    constexpr std::string_view pids = ":pids:";  // of version 1
    const bool is_unified = head(line, unified.size()) == unified;
    const auto at = line.find(pids);
    if (!is_unified && at == std::string_view::npos) return false;
    const std::string root = mounted + (is_unified ? "" : "/pids");
    std::string place(tail(line, is_unified ? unified.size() : at + pids.size()));
    if (place == "/") place.clear();
    for (auto end = place.size(); found.empty() && end != std::string::npos;
         end = place.rfind('/')) {
      place.erase(end);
      const std::string cgroup = root + place;
      const Switch most = read_switch(k, (cgroup + "/pids.max").c_str());
      const Switch now = read_switch(k, (cgroup + "/pids.current").c_str());
      if (most.present && now.present && now.value >= most.value)
        found = cgroup + ": pids.max is " + std::to_string(most.value);
    }
    return !found.empty();
  });
  return found;
}

/// What to add to the cause that explain_limit gives: which limit it is, and its number.
[[nodiscard]] inline std::string limit_in_numbers(Errno code) {
  const auto allows = [](auto resource, const char* option, rlim_t unit, const char* units) {
    rlimit limit{};
    if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::string();
    return std::string(": ") + option + " allows " + std::to_string(limit.rlim_cur / unit) + units;
  };
  switch (code) {
    case Errno::emfile:
      return allows(RLIMIT_NOFILE, "ulimit -n", 1, "");
    case Errno::enfile:
      return ", that of the host: the sysctl fs.file-max";
    case Errno::enomem:
      return allows(RLIMIT_AS, "ulimit -v", 1024, " KiB");
    default:
      const std::string cgroup = full_cgroup();
      if (!cgroup.empty()) return ": cgroup " + cgroup;
      return ::geteuid() == 0 ? std::string() : allows(RLIMIT_NPROC, "ulimit -u", 1, "");
  }
}

/// Adds to `cause` what is known of the limit that `call` has reached, if it is about one.
inline void add_numbers(std::string& cause, Errno code, kernel::Call call) {
  const TextAddress limit = explain_limit(code, call).cause;
  if (!limit.empty() && cause == limit.view()) cause += limit_in_numbers(code);
}

}  // namespace ch::detail
