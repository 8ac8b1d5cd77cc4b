// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. An image directory, whose paths are resolved as a process inside would see them. Every
// path in an image goes through this class, and so through the one in-root resolver. It opens only
// regular files and directories.
// Source: io/in_image.hpp.
#pragma once

#include <map>
#include <optional>

#include "ch/io/in_image.hpp"

namespace ch::injection {

class ImageTree {
 public:
  /// Opens the image at `path` on the host. Throws if that is not a directory.
  explicit ImageTree(std::string path) : path_(std::move(path)) {
    root_ = io::above_streams(
        io::Descriptor(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
    if (root_) return;
    if (errno == ENOTDIR || errno == ENOENT)
      throw io::Failed(io::printable(path_),
                       errno == ENOENT ? "there is nothing at this path"
                                       : "this is not a directory, but an image must be one",
                       words_of(Remedy::unpack_first), errno)
          .with_kind(Remedy::unpack_first);
    io::throw_errno("open image", path_);
  }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const io::Descriptor& root() const noexcept { return root_; }

  /// Where `path` leads: absolute in the image, free of links and "..", whether it exists
  /// or not; "" is the root. Throws if the path leaves the image's file system or passes through
  /// something other than a directory.
  [[nodiscard]] std::string locate(const std::string& path) const {
    return io::locate_in_image(root_.get(), path);
  }

  /// The directory at `path`, or none if there is no such directory.
  [[nodiscard]] io::Descriptor try_open_directory(const std::string& path) const {
    return try_open(path, kernel::o_rdonly | kernel::o_directory);
  }
  /// The same, opened once and then kept open: so that we examine, change and record one and the
  /// same directory, whatever happens to its name. A missing one is looked up again each time.
  [[nodiscard]] const io::Descriptor& held_directory(const std::string& path) const {
    io::Descriptor& held = held_[path];
    if (!held) held = try_open_directory(path);
    return held;
  }
  [[nodiscard]] bool has_directory(const std::string& path) const {
    return static_cast<bool>(try_open(path, kernel::o_path | kernel::o_directory));
  }

  /// The regular file at `path`, open for reading, or none. A FIFO or device by that name is not
  /// opened: that could block or have side effects.
  [[nodiscard]] io::Descriptor try_open_file(const std::string& path) const {
    const io::Descriptor place = try_open(path, kernel::o_path);
    if (!place || !S_ISREG(io::status_of(place, path).st_mode)) return {};
    // Reopens exactly the file that was examined; its name may stand for another one by now.
    const std::string again = "/proc/self/fd/" + std::to_string(place.get());
    if (io::Descriptor fd{::open(again.c_str(), O_RDONLY | O_CLOEXEC)}) return fd;
    if (errno != ENOENT) io::throw_errno("open in the image", path);
    return reopen_by_name(place, path);  // no /proc here
  }
  [[nodiscard]] std::optional<std::string> read(const std::string& path) const {
    const io::Descriptor fd = try_open_file(path);
    if (!fd) return std::nullopt;
    return io::read_all(fd.get(), path);
  }

 private:
  [[nodiscard]] io::Descriptor reopen_by_name(const io::Descriptor& place,
                                              const std::string& path) const {
    io::Descriptor fd = try_open(path, kernel::o_rdonly | O_NONBLOCK | O_NOCTTY);
    if (!fd) return {};
    if (io::identity(fd.get()) != io::identity(place.get()))
      throw io::Failed(io::printable(path),
                       "this file of the image changed while it was being opened",
                       "wait until nothing else changes the image");
    return fd;
  }
  [[nodiscard]] io::Descriptor try_open(const std::string& path, std::uint64_t flags) const {
    return io::open_in_image(root_.get(), path, flags);
  }

  std::string path_;
  io::Descriptor root_;
  mutable std::map<std::string, io::Descriptor> held_;
};

}  // namespace ch::injection
