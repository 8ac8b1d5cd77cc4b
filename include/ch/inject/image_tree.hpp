// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. An image directory, looked at and opened the way a process inside would see
// it. Every path in an image passes through here, and so through the one in-root
// resolver. Nothing but regular files and directories is ever opened.
// Source: kernel/in_root.hpp, kernel/root_walk.hpp.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "ch/inject/descriptor.hpp"
#include "ch/kernel/in_root.hpp"

namespace ch::injection {

[[nodiscard]] inline std::string_view parent_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}
[[nodiscard]] inline std::string_view base_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

/// A name in a directory, and nothing that leads elsewhere.
[[nodiscard]] inline bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

class ImageTree {
 public:
  /// Opens the image at `path` on the host. Throws if that is no directory.
  explicit ImageTree(std::string path) : path_(std::move(path)) {
    root_ = Descriptor(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (root_) return;
    if (errno == ENOTDIR || errno == ENOENT)
      throw InjectError(printable(path_),
                        std::string("image not a directory") +
                            (errno == ENOENT ? " (there is nothing at this path)" : ""),
                        "unpack the archive first: ch-tar2dir ARCHIVE DIR", errno);
    throw_errno("open image", path_);
  }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const Descriptor& root() const noexcept { return root_; }

  /// Where `path` leads: absolute in the image, free of links and "..", whether it exists
  /// or not; "" is the root. Throws where the way leaves the image's file system, or
  /// passes through something that is no directory.
  [[nodiscard]] std::string locate(const std::string& path) const {
    auto walk = std::make_unique<kernel::RootWalk>();
    TextBuffer<kernel::RootWalk::max_path> names;
    kernel::Linux linux_kernel;
    const auto located = walk->locate(linux_kernel, root_.kernel_fd(), path.c_str(), names);
    if (!located.ok())
      throw_errno("find this place in the image", path, static_cast<int>(located.error()));
    return std::string(names.view());
  }

  /// The directory at `path`, or none if there is no such directory.
  [[nodiscard]] Descriptor try_open_directory(const std::string& path) const {
    return try_open(path, kernel::o_rdonly | kernel::o_directory);
  }
  /// The same, opened once and held from then on: what we look at, change and record in it is
  /// in one and the same directory, whatever becomes of its name. A missing one is looked for
  /// again each time.
  [[nodiscard]] const Descriptor& held_directory(const std::string& path) const {
    Descriptor& held = held_[path];
    if (!held) held = try_open_directory(path);
    return held;
  }
  [[nodiscard]] bool has_directory(const std::string& path) const {
    return static_cast<bool>(try_open(path, kernel::o_path | kernel::o_directory));
  }

  /// The regular file at `path`, open for reading, or none. A FIFO or device by that name
  /// is not opened: it could block, or do something.
  [[nodiscard]] Descriptor try_open_file(const std::string& path) const {
    const Descriptor place = try_open(path, kernel::o_path);
    if (!place || !S_ISREG(status_of(place, path).st_mode)) return {};
    // The very file that was looked at; its name may lead to another one by now.
    const std::string again = "/proc/self/fd/" + std::to_string(place.get());
    if (Descriptor fd{::open(again.c_str(), O_RDONLY | O_CLOEXEC)}) return fd;
    if (errno != ENOENT) throw_errno("open in the image", path);
    return by_name_again(place, path);  // no /proc here
  }
  [[nodiscard]] std::optional<std::string> read(const std::string& path) const {
    const Descriptor fd = try_open_file(path);
    if (!fd) return std::nullopt;
    return read_all(fd.get(), path);
  }

 private:
  [[nodiscard]] Descriptor by_name_again(const Descriptor& place, const std::string& path) const {
    Descriptor fd = try_open(path, kernel::o_rdonly | O_NONBLOCK | O_NOCTTY);
    if (!fd) return {};
    const struct stat wanted = status_of(place, path);
    const struct stat found = status_of(fd, path);
    if (found.st_dev != wanted.st_dev || found.st_ino != wanted.st_ino)
      throw InjectError(printable(path), "this file of the image changes while it is opened",
                        "wait until nothing works on the image any more");
    return fd;
  }
  [[nodiscard]] Descriptor try_open(const std::string& path, std::uint64_t flags) const {
    kernel::Linux linux_kernel;
    const char* name = path.empty() ? "/" : path.c_str();
    const auto opened = kernel::open_in_root(linux_kernel, root_.kernel_fd(), name, flags);
    if (opened.ok()) return Descriptor(static_cast<int>(opened.value()));
    using kernel::Errno;
    if (opened.error() == Errno::enoent || opened.error() == Errno::enotdir ||
        opened.error() == Errno::eloop)
      return {};
    throw_errno("open in the image", path, static_cast<int>(opened.error()));
  }

  std::string path_;
  Descriptor root_;
  mutable std::map<std::string, Descriptor> held_;
};

}  // namespace ch::injection
