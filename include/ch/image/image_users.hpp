// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. The processes that use an image now: processes in containers that have it as their
// root, below an overlay, or mounted elsewhere. Only processes of this machine are seen, and of
// those only the ones that the caller may inspect: its own, or all for root.
// Source: man 5 proc_pid_root, proc_pid_mountinfo; kernel documentation, overlayfs.rst, "Inode
// properties".
#pragma once

#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "ch/image/member_path.hpp"
#include "ch/image/options.hpp"
#include "ch/image/remove_tree.hpp"

namespace ch::images {

namespace detail {

/// Recognises an image where it is in use.
class ImageIdentity {
 public:
  explicit ImageIdentity(int image) {
    if (::fstat(image, &directory_) != 0) io::throw_errno("look at", "the image");
    has_file_ = io::status_of(image, file, file_status_) && S_ISREG(file_status_.st_mode);
  }
  /// Is the image the root, or below an overlay that is the root, of the process with this /proc
  /// directory?
  [[nodiscard]] bool is_root_of(const std::string& process) const {
    const std::string root = process + "/root";
    return is_at(root) || is_below_overlay(root);
  }
  /// Is it mounted somewhere in this process's mount namespace?
  [[nodiscard]] bool is_mounted_for(const std::string& process) const {
    const std::string device =
        std::to_string(major(directory_.st_dev)) + ':' + std::to_string(minor(directory_.st_dev));
    std::ifstream mounts(process + "/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
      std::istringstream words(line);
      std::string id, parent, number, root, point;
      words >> id >> parent >> number >> root >> point;
      if (number == device && is_at(process + "/root" + without_escapes(point))) return true;
    }
    return false;
  }

 private:
  static constexpr const char* file = "ch/unpacked.json";

  [[nodiscard]] bool is_at(const std::string& path) const {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && status.st_dev == directory_.st_dev &&
           status.st_ino == directory_.st_ino;
  }
  /// An overlay has a device of its own, and a directory in it may have any inode. But a file of
  /// the lower layer keeps the low bits of its inode number, and its times, of which ctime can't be
  /// set.
  [[nodiscard]] bool is_below_overlay(const std::string& root) const {
    struct statfs system {};
    struct stat status {};
    return has_file_ && ::statfs(root.c_str(), &system) == 0 &&
           system.f_type == OVERLAYFS_SUPER_MAGIC &&
           ::lstat((root + '/' + file).c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
           static_cast<std::uint32_t>(status.st_ino) ==
               static_cast<std::uint32_t>(file_status_.st_ino) &&
           status.st_size == file_status_.st_size &&
           status.st_ctim.tv_sec == file_status_.st_ctim.tv_sec &&
           status.st_ctim.tv_nsec == file_status_.st_ctim.tv_nsec;
  }
  /// mountinfo escapes blanks and the like as \040.
  static std::string without_escapes(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const std::string digits(text.substr(i, 4));
      if (digits.size() == 4 && digits[0] == '\\' &&
          digits.find_first_not_of("01234567", 1) == std::string::npos) {
        plain += static_cast<char>(std::stoi(digits.substr(1), nullptr, 8));
        i += 3;
      } else {
        plain += text[i];
      }
    }
    return plain;
  }

  struct stat directory_ {
  }, file_status_{};
  bool has_file_ = false;
};

[[nodiscard]] inline std::string link_text(const std::string& path) {
  char text[128];
  const ssize_t n = ::readlink(path.c_str(), text, sizeof text);
  return n > 0 ? std::string(text, static_cast<std::size_t>(n)) : std::string();
}

}  // namespace detail

/// Processes that use the open directory `image` as an image, by pid. Those that can't be inspected
/// are left out; without /proc the list is empty. Throws what man 2 fstat says. Allocates.
[[nodiscard]] inline std::vector<ImageUser> users_of(int image) {
  std::vector<ImageUser> users;
  const io::Descriptor proc(::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!proc) return users;
  const detail::ImageIdentity looks(image);
  // Mounts are examined once for each mount namespace, but not for ours: a bind mount of an image
  // there does not count as use.
  std::map<std::string, bool> mounted{{detail::link_text("/proc/self/ns/mnt"), false}};
  for (const std::string& name : io::names_in(proc.get())) {
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string process = "/proc/" + name;
    bool uses = looks.is_root_of(process);
    if (const std::string space = detail::link_text(process + "/ns/mnt"); !uses && !space.empty()) {
      const auto known = mounted.find(space);
      uses = known != mounted.end() ? known->second : looks.is_mounted_for(process);
      mounted.emplace(space, uses);
    }
    if (!uses) continue;
    std::string command;
    std::ifstream text(process + "/comm");
    std::getline(text, command);
    users.push_back({static_cast<pid_t>(std::stol(name)), printable(command)});
  }
  std::sort(users.begin(), users.end(),
            [](const ImageUser& a, const ImageUser& b) { return a.pid < b.pid; });
  return users;
}

/// A function like users_of().
using UsersOf = std::function<std::vector<ImageUser>(int image)>;

}  // namespace ch::images
