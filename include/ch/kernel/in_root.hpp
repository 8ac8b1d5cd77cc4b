// SPDX-License-Identifier: Apache-2.0
//
// Floor 1. The one place where this project looks up a path inside an image. An
// image is a stranger's directory tree: a link in it may say /etc or ../../etc, and
// following that from outside would name the host's files. Here every link, absolute
// or not, is resolved as if the image were already the root directory, and links of
// /proc that jump elsewhere (magic links) are refused.
// Mount points, bind destinations, the unpacker and file injection all come here.
// Source: man 2 openat2 (RESOLVE_IN_ROOT); man 7 path_resolution.
#pragma once

#include "ch/kernel/fd.hpp"

namespace ch::kernel {

/// open_in_root without openat2: component by component, never following a link by
/// the kernel's hand. Used where openat2 answers ENOSYS or EPERM, which happens on
/// new kernels too (seccomp filters of an outer container). Holds one descriptor per
/// directory on the way, so that ".." means the directory we came from.
class RootWalk {
 public:
  static constexpr int max_depth = 128;
  static constexpr int max_links = 40;  // as the kernel's own MAXSYMLINKS
  static constexpr std::size_t max_path = 4096;

  template <Kernel K>
  Returned<Fd> open(K& k, Fd root, const char* path, std::uint64_t flags,
                    unsigned mode = 0) noexcept {
    held_[0] = root;
    if (!prepend(path, "")) return fail(k, Errno::enametoolong);
    const bool by_path = (flags & o_path) != 0;
    for (int links = 0;;) {
      while (*rest_ == '/') ++rest_;
      if (*rest_ == '\0') return finish(k, flags);
      const std::size_t length = component_length();
      if (length > 255) return fail(k, Errno::enametoolong);
      char name[256];
      for (std::size_t i = 0; i < length; ++i) name[i] = rest_[i];
      name[length] = '\0';
      const char* after = rest_ + length;
      while (*after == '/') ++after;
      const bool last = *after == '\0';
      if (is(name, ".") || is(name, "..")) {
        rest_ = after;
        if (is(name, "..")) pop(k);
        continue;
      }
      if (last && !by_path) {
        const auto opened = openat(k, held_[depth_], name, flags | o_nofollow, mode);
        if (opened.ok() || opened.error() != Errno::eloop) return release(k, opened);
      }
      const auto next = openat(k, held_[depth_], name, o_path | o_nofollow);
      if (!next.ok()) return release(k, next);
      Statx status;
      if (const auto s = statx(k, next.value(), "", at_empty_path | at_symlink_nofollow, status);
          !s.ok()) {
        (void)close(k, next.value());
        return release(k, {s.raw, s.call});
      }
      rest_ = after;
      if ((status.mode & s_ifmt) == s_iflnk && !(last && (flags & o_nofollow))) {
        char target[max_path];
        const auto n = readlinkat(k, next.value(), "", target, sizeof target - 1);
        (void)close(k, next.value());
        if (!n.ok()) return release(k, {n.raw, n.call});
        if (++links > max_links) return fail(k, Errno::eloop);
        target[n.value()] = '\0';
        if (target[0] == '/')
          while (depth_ > 0) pop(k);
        if (!prepend(target, rest_)) return fail(k, Errno::enametoolong);
        continue;
      }
      if (!last && (status.mode & s_ifmt) != s_ifdir) {
        (void)close(k, next.value());
        return fail(k, Errno::enotdir);
      }
      if (depth_ + 1 == max_depth) {
        (void)close(k, next.value());
        return fail(k, Errno::enametoolong);
      }
      held_[++depth_] = next.value();
    }
  }

 private:
  static bool is(const char* a, const char* b) noexcept {
    for (; *a != '\0' && *a == *b; ++a, ++b) {
    }
    return *a == *b;
  }
  [[nodiscard]] std::size_t component_length() const noexcept {
    std::size_t n = 0;
    while (rest_[n] != '\0' && rest_[n] != '/') ++n;
    return n;
  }
  /// rest = first + "/" + second, where `second` may lie in the current buffer.
  bool prepend(const char* first, const char* second) noexcept {
    char* out = buffers_[use_ ^= 1];
    std::size_t n = 0;
    for (; *first != '\0'; ++first)
      if (n + 2 >= max_path) return false; else out[n++] = *first;
    if (*second != '\0') out[n++] = '/';
    for (; *second != '\0'; ++second)
      if (n + 1 >= max_path) return false; else out[n++] = *second;
    out[n] = '\0';
    rest_ = out;
    return true;
  }
  template <Kernel K>
  void pop(K& k) noexcept {
    if (depth_ > 0) (void)close(k, held_[depth_--]);  // ".." of the root is the root
  }
  template <Kernel K>
  Returned<Fd> release(K& k, Returned<Fd> answer) noexcept {
    while (depth_ > 0) pop(k);
    return answer;
  }
  template <Kernel K>
  Returned<Fd> fail(K& k, Errno e) noexcept {
    return release(k, {-static_cast<long>(e), Call::openat2});
  }
  /// The path ended at a directory we hold, or (by_path) at anything: open it for real.
  template <Kernel K>
  Returned<Fd> finish(K& k, std::uint64_t flags) noexcept {
    if (depth_ > 0 && (flags & o_path) != 0 && (flags & o_directory) == 0) {
      const Returned<Fd> answer{static_cast<long>(held_[depth_--]), Call::openat2};
      return release(k, answer);
    }
    return release(k, openat(k, held_[depth_], ".", flags & ~o_nofollow));
  }

  Fd held_[max_depth] = {};
  int depth_ = 0;
  char buffers_[2][max_path] = {};
  int use_ = 0;
  const char* rest_ = nullptr;
};

/// Opens `path` as a process whose root directory is `root` would: absolute links
/// start at `root`, ".." stops there. `flags` as in man 2 open, close-on-exec always;
/// `mode` for o_creat. Errors: ENOENT (also for a link that dangles inside the image),
/// ENOTDIR, EACCES, ELOOP (too many links, or a magic link). Allocates nothing; safe
/// between clone and exec; needs 16 KiB of stack where openat2 is missing.
/// openat2 is of kernel 5.6; without it we walk by hand.
template <Kernel K>
Returned<Fd> open_in_root(K& k, Fd root, const char* path, std::uint64_t flags,
                          unsigned mode = 0) noexcept {
  const OpenHow how{flags | o_cloexec, mode, resolve_in_root | resolve_no_magiclinks};
  for (int tries = 0; tries < 64; ++tries) {
    const auto opened = openat2(k, root, path, how);
    if (opened.ok()) return opened;
    if (opened.error() == Errno::enosys || opened.error() == Errno::eperm) break;
    if (opened.error() != Errno::eagain) return opened;  // EAGAIN: a rename raced with ".."
  }
  RootWalk walk;
  return walk.open(k, root, path, flags, mode);
}

}  // namespace ch::kernel
