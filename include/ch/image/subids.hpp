// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Owners other than the caller: a user namespace in which the caller is root and
// the subordinate ids that an administrator gave him are 1, 2, 3 ... newuidmap and
// newgidmap, privileged programs of the package uidmap, write the maps. Real root needs
// neither: there every id is itself.
// Source: man 5 subuid, man 1 newuidmap, man 7 user_namespaces.
#pragma once

#include <pwd.h>
#include <sched.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <vector>

#include "ch/image/descriptor.hpp"

namespace ch::images {

/// `count` ids from `first` on.
struct IdRange {
  std::uint64_t first = 0, count = 0;
  friend bool operator==(const IdRange&, const IdRange&) = default;
};

/// The ranges that `text`, in the form of /etc/subuid, gives to the user of this name or
/// number. Lines that are none of its form are passed over, as newuidmap does.
[[nodiscard]] inline std::vector<IdRange> parse_subids(std::istream& text, std::string_view name,
                                                       uid_t uid) {
  std::vector<IdRange> ranges;
  for (std::string line; std::getline(text, line);) {
    std::istringstream fields(line);
    std::string who;
    IdRange range;
    char colon = 0;
    if (!std::getline(fields, who, ':') || !(fields >> range.first >> colon >> range.count) ||
        colon != ':' || range.count == 0)
      continue;
    if (who == name || who == std::to_string(uid)) ranges.push_back(range);
  }
  return ranges;
}

/// Arguments of newuidmap: the caller as 0, the ranges from 1 on.
[[nodiscard]] inline std::vector<std::string> id_map_words(pid_t pid, std::uint64_t own,
                                                           const std::vector<IdRange>& ranges) {
  std::vector<std::string> words = {std::to_string(pid), "0", std::to_string(own), "1"};
  std::uint64_t inside = 1;
  for (const IdRange& range : ranges) {
    for (const std::uint64_t n : {inside, range.first, range.count})
      words.push_back(std::to_string(n));
    inside += range.count;
  }
  return words;
}

namespace detail {

inline constexpr const char* subids_remedy =
    "ask the administrator for subordinate ids (usermod --add-subuids 100000-165535 "
    "--add-subgids 100000-165535 USER) and the package uidmap; or let all files be yours";

inline std::vector<IdRange> ranges_in(const char* file, const std::string& name) {
  std::ifstream text(file);
  auto ranges = parse_subids(text, name, ::getuid());
  if (ranges.empty())
    throw io::Failed(io::Reason::refused, file, "no subordinate ids for " + name, subids_remedy)
        .by(Remedy::own_all_files);
  return ranges;
}

/// Runs a program of PATH to its end; false if it is not there or fails.
inline bool ran(const char* program, const std::vector<std::string>& arguments) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::vector<char*> words = {const_cast<char*>(program)};
    for (const std::string& word : arguments) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    (void)std::signal(SIGPIPE, SIG_DFL);  // which a tool may ignore for itself
    ::execvp(program, words.data());
    ::_exit(127);
  }
  int status = 0;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return child > 0 && status == 0;
}

/// Real root's map: everyone is himself.
inline bool wrote_identity(pid_t pid, const char* file) {
  const std::string path = "/proc/" + std::to_string(pid) + "/" + file;
  const io::Descriptor fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  constexpr std::string_view map = "0 0 4294967295";
  return fd && ::write(fd.get(), map.data(), map.size()) == static_cast<ssize_t>(map.size());
}

}  // namespace detail

/// Moves this process, which must have one thread, into such a user namespace, where it
/// is root. Throws refused if none is configured, or if newuidmap is missing or says no.
inline void enter_subids() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  std::vector<IdRange> uids, gids;
  if (uid != 0) {
    const passwd* entry = ::getpwuid(uid);
    const std::string name = entry != nullptr ? entry->pw_name : std::to_string(uid);
    uids = detail::ranges_in("/etc/subuid", name);
    gids = detail::ranges_in("/etc/subgid", name);
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) io::throw_errno("make", "a pipe");
  const io::Descriptor from(ends[0]);
  io::Descriptor to(ends[1]);
  const pid_t us = ::getpid();
  const pid_t helper = ::fork();  // it stays outside, where the maps are written from
  if (helper < 0) io::throw_errno("start", "a process to write the id maps");
  if (helper == 0) {
    to.reset();
    char byte = 0;
    if (::read(from.get(), &byte, 1) != 1) ::_exit(1);
    if (uid == 0)
      ::_exit(detail::wrote_identity(us, "uid_map") && detail::wrote_identity(us, "gid_map") ? 0
                                                                                             : 1);
    ::_exit(detail::ran("newuidmap", id_map_words(us, uid, uids)) &&
                    detail::ran("newgidmap", id_map_words(us, gid, gids))
                ? 0
                : 1);
  }
  const bool alone = ::unshare(CLONE_NEWUSER) == 0;
  const int why = errno;
  if (alone) (void)!::write(to.get(), "x", 1);
  to.reset();
  int status = 0;
  while (::waitpid(helper, &status, 0) < 0 && errno == EINTR) {
  }
  if (!alone) io::throw_errno("make", "a user namespace for files of several owners", why);
  if (status != 0)
    throw io::Failed(io::Reason::refused, {}, "newuidmap or newgidmap is missing or has failed",
                     detail::subids_remedy)
        .by(Remedy::own_all_files);
}

}  // namespace ch::images
