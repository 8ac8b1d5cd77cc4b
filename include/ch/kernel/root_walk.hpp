// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. Walking a path inside an image by hand: component by component, never letting the kernel
// follow a link, with one descriptor per directory so that ".." means the directory we came from.
// in_root.hpp uses it if openat2 is missing, and make_in_root.hpp to find out what to create.
// Source: man 7 path_resolution.
#pragma once

#include "ch/kernel/fd.hpp"
#include "ch/kernel/text.hpp"

namespace ch::kernel {

/// One walk; not reusable. About 14 KiB large. Allocates nothing; safe between clone and exec.
/// Errors found by the walk itself are attributed to openat2.
class RootWalk {
 public:
  static constexpr int max_depth = 128;
  static constexpr int max_links = 40;  // as the kernel's own MAXSYMLINKS
  static constexpr std::size_t max_path = 4096;

  /// Opens `path` as open_in_root does.
  template <Kernel K>
  Returned<Fd> open(K& k, Fd root, const char* path, std::uint64_t flags,
                    unsigned mode = 0) noexcept {
    if (*path == '\0') return problem<Fd>(Errno::enoent);
    Returned<void> done = begin(root, path);
    while (done.ok() && next_component(k)) {
      const bool last = *rest_ == '\0';
      const Enter how{.keep_link = last && !slash_ && (flags & o_nofollow) != 0,
                      .only_directory = slash_ || (flags & o_directory) != 0};
      if (last && (flags & o_path) == 0) {
        if (slash_ && (flags & o_creat) != 0) return release(k, problem<Fd>(Errno::eisdir));
        const std::uint64_t only = how.only_directory ? o_directory : 0;
        const auto opened = openat(k, held_[depth_], name_, flags | only | o_nofollow, mode);
        // ELOOP or ENOTDIR: name_ may be a link.
        const bool link = opened.error() == Errno::eloop || opened.error() == Errno::enotdir;
        if (!link || how.keep_link) return release(k, opened);
      }
      done = enter(k, how);
    }
    if (!done.ok()) return release(k, {done.raw, done.call});
    if (depth_ > 0 && (flags & o_path) != 0) {
      const Returned<Fd> answer{static_cast<long>(held_[depth_--]), Call::openat2};
      return release(k, answer);
    }
    return release(k, openat(k, held_[depth_], ".", flags & ~o_nofollow));
  }

  /// Where `path` leads: names below `root`, free of links and "..", whether or not they
  /// exist yet. EXDEV: the path leaves the mount that `root` is on.
  template <Kernel K>
  Returned<void> locate(K& k, Fd root, const char* path, TextWriter& names) noexcept {
    Statx top;
    Returned<void> done = statx(k, root, "", at_empty_path, top);
    if (done.ok()) done = begin(root, path);
    while (done.ok() && next_component(k)) {
      done = enter(k, {.only_directory = slash_, .absent_is_directory = true});
      Statx here;
      if (!done.ok() || held_[depth_] == Fd::none || depth_ == 0) continue;
      done = statx(k, held_[depth_], "", at_empty_path, here);
      if (done.ok() && here.mount_id != top.mount_id) done = problem(Errno::exdev);
    }
    if (done.ok()) names << std::string_view(names_, names_end_[depth_]);
    (void)release(k, {});
    return done;
  }

 private:
  /// How to enter the next name. `keep_link`: do not follow a link; `absent_is_directory`: treat a
  /// name that does not exist as a directory.
  struct Enter {
    bool keep_link = false;
    bool only_directory = false;
    bool absent_is_directory = false;
  };

  template <class T = void>
  static Returned<T> problem(Errno code) noexcept {
    return {-static_cast<long>(code), Call::openat2};
  }
  static bool is(const char* a, const char* b) noexcept {
    for (; *a != '\0' && *a == *b; ++a, ++b) {
    }
    return *a == *b;
  }

  Returned<void> begin(Fd root, const char* path) noexcept {
    held_[0] = root;
    return prepend(path) ? Returned<void>{} : problem(Errno::enametoolong);
  }

  /// Puts the next real component into name_; "." and ".." are dealt with on the way.
  /// slash_: a slash follows, so it must be a directory, even as the last component.
  template <Kernel K>
  bool next_component(K& k) noexcept {
    for (;;) {
      while (*rest_ == '/') ++rest_;
      if (*rest_ == '\0') return false;
      std::size_t length = 0;
      for (; *rest_ != '\0' && *rest_ != '/'; ++rest_)
        if (length + 1 < sizeof name_) name_[length++] = *rest_;  // 255 fit; longer is refused
      name_[length] = '\0';
      slash_ = *rest_ == '/';
      while (*rest_ == '/') ++rest_;
      if (is(name_, "..")) pop(k);  // ".." of the root is the root
      if (!is(name_, ".") && !is(name_, "..")) return true;
    }
  }

  /// Goes to name_ below the current directory, or to where it points if it is a link.
  template <Kernel K>
  Returned<void> enter(K& k, Enter how) noexcept {
    if (std::string_view(name_).size() > 255) return problem(Errno::enametoolong);
    if (held_[depth_] == Fd::none) return push(k, Fd::none);  // below a missing directory
    const auto child = openat(k, held_[depth_], name_, o_path | o_nofollow);
    if (child.error() == Errno::enoent && how.absent_is_directory) return push(k, Fd::none);
    if (!child.ok()) return {child.raw, child.call};
    Statx status;
    if (const auto s = statx(k, child.value(), "", at_empty_path, status); !s.ok()) {
      (void)close(k, child.value());
      return s;
    }
    const unsigned type = status.mode & s_ifmt;
    if (type == s_iflnk && !how.keep_link) return follow(k, child.value());
    if (type != s_ifdir && how.only_directory) {
      (void)close(k, child.value());
      return problem(Errno::enotdir);
    }
    return push(k, child.value());
  }

  template <Kernel K>
  Returned<void> follow(K& k, Fd link) noexcept {
    char target[max_path];
    const auto n = readlinkat(k, link, "", target, sizeof target - 1);
    (void)close(k, link);
    if (!n.ok()) return {n.raw, n.call};
    if (++links_ > max_links) return problem(Errno::eloop);
    target[n.value()] = '\0';
    while (target[0] == '/' && depth_ > 0) pop(k);
    return prepend(target) ? Returned<void>{} : problem(Errno::enametoolong);
  }

  template <Kernel K>
  Returned<void> push(K& k, Fd fd) noexcept {
    const std::size_t length = std::string_view(name_).size();
    const std::size_t end = names_end_[depth_];
    if (depth_ + 1 == max_depth || end + length + 1 > sizeof names_) {
      if (fd != Fd::none) (void)close(k, fd);
      return problem(Errno::enametoolong);
    }
    held_[++depth_] = fd;
    names_[end] = '/';
    for (std::size_t i = 0; i < length; ++i) names_[end + 1 + i] = name_[i];
    names_end_[depth_] = end + 1 + length;
    return {};
  }
  template <Kernel K>
  void pop(K& k) noexcept {
    if (depth_ == 0) return;
    if (held_[depth_] != Fd::none) (void)close(k, held_[depth_]);
    --depth_;
  }
  template <Kernel K>
  Returned<Fd> release(K& k, Returned<Fd> answer) noexcept {
    while (depth_ > 0) pop(k);
    return answer;
  }

  /// Puts `first` before the rest of the path, which is in the other buffer.
  bool prepend(const char* first) noexcept {
    TextWriter out(buffers_[use_ ^= 1], max_path);
    out << first;
    if (slash_) out << '/' << rest_;
    rest_ = out.c_str();
    return !out.truncated();
  }

  Fd held_[max_depth] = {};
  std::size_t names_end_[max_depth] = {};
  int depth_ = 0;
  int links_ = 0;
  int use_ = 0;
  bool slash_ = false;
  const char* rest_ = nullptr;
  char name_[257] = {};
  char names_[max_path] = {};
  char buffers_[2][max_path];
};

}  // namespace ch::kernel
