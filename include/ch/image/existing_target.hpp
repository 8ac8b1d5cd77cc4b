// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. What exists at an image's final name, and whether it may be replaced.
// Source: docs/unpack.md, "Recognising the input".
#pragma once

#include "ch/image/image_mark.hpp"
#include "ch/image/options.hpp"
#include "ch/image/remove_tree.hpp"
#include "ch/io/descriptor.hpp"

namespace ch::images {

enum class Before { nothing, empty_directory, image };

struct ExistingTarget {
  Before before = Before::nothing;
  io::Identity directory{};  // its identity, if any
};

[[nodiscard]] inline io::Failed changed_meanwhile(const std::string& destination,
                                                  std::string remedy = {}) {
  return {io::Reason::refused, destination,
          "another process changed what is there while we were unpacking", std::move(remedy)};
}

namespace detail {

/// Classifies something that exists. Opens it as `there`.
[[nodiscard]] inline Before classify_target(int parent, const std::string& name,
                                            const struct stat& status, io::Descriptor& there,
                                            const std::string& destination, Replace replace) {
  const auto refuse = [&](std::string cause) {
    return io::Failed(io::Reason::refused, destination, std::move(cause),
                      "choose another name, or remove what is there yourself");
  };
  if (!S_ISDIR(status.st_mode))
    throw refuse(S_ISLNK(status.st_mode) ? "this is a link, and links are not replaced"
                                         : "this exists and is not a directory");
  if (status.st_uid != ::geteuid() && ::geteuid() != 0)
    throw refuse("this exists and belongs to another user");
  there = io::open_directory(parent, name.c_str());
  if (io::is_empty(there.get())) return Before::empty_directory;
  if (has_several_owners(there.get()) && ::geteuid() != 0)
    throw io::Failed(io::Reason::refused, destination,
                     "this image has files of several owners, which you can't remove like this",
                     "choose another name, or replace it as it was made")
        .with_kind(Remedy::keep_owners);
  if (replace == Replace::anything || looks_like_image(there.get())) return Before::image;
  throw io::Failed(io::Reason::refused, destination,
                   "this exists but does not appear to be an image",
                   "choose another name, or replace it all the same")
      .with_kind(Remedy::replace_anything);
}

}  // namespace detail

/// Examines `name` in the directory `parent`. Throws refused if it may not be replaced, and what
/// man 2 openat, fstatat and read say. `destination` is for messages.
///
/// Another run may replace the name while we look, and remove the directory that we are looking at.
/// So what we see counts only if the name still stands for the same directory afterwards. We hold
/// it open until then, so that its inode number is not reused.
[[nodiscard]] inline ExistingTarget examine_target(int parent, const std::string& name,
                                                   const std::string& destination,
                                                   Replace replace) {
  for (int tries = 0; tries < 100; ++tries) {
    struct stat status {};
    if (!io::status_of(parent, name.c_str(), status)) return {};
    const io::Identity seen{status.st_dev, status.st_ino};
    io::Descriptor there;
    try {
      const Before before =
          detail::classify_target(parent, name, status, there, destination, replace);
      if (io::identity(there.get()) == seen && io::identity(parent, name) == seen)
        return {before, seen};
    } catch (const io::Failed& e) {
      if (io::identity(parent, name) != seen) continue;
      if (e.reason() != io::Reason::system) throw;
      throw io::Failed(
          e.reason(), destination,
          "can't tell whether this is an image: " +
              (e.path() == io::printable(name) || e.path() == "." ? "" : e.path() + ": ") +
              e.cause(),
          e.code() == EACCES ? "choose another name, or remove what is there yourself" : e.remedy(),
          e.code());
    }
  }
  throw changed_meanwhile(destination);
}

}  // namespace ch::images
