// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. What of a plan the image has already, so that a second injection changes nothing.
// Source: docs/fromhost.md, "Promises".
#pragma once

#include "ch/inject/file_copy.hpp"
#include "ch/inject/injection_plan.hpp"
#include "ch/inject/manifest.hpp"

namespace ch::injection {

namespace detail {

/// Opens what is at `e`'s place in the image; none if it is unreadable and so has to be replaced.
[[nodiscard]] inline io::Descriptor open_there(const io::Descriptor& at, const Entry& e) {
  io::Descriptor there(
      ::openat(at.get(), e.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!there && errno != EACCES) io::throw_errno("read", e.path());
  return there;
}

}  // namespace detail

/// Does the image already have what `e` would put there? `before` is the record of earlier
/// injections. Throws if a file can't be read.
[[nodiscard]] inline bool is_there(const ImageTree& tree, const Manifest& before, const Entry& e) {
  const io::Descriptor& at = tree.held_directory(e.directory);
  struct stat status {};
  if (!at || !io::status_of(at.get(), e.name, status)) return false;
  if (const auto* link = std::get_if<action::Link>(&e.action))
    return io::link_target(at.get(), e.name) == link->target;
  if (!S_ISREG(status.st_mode)) return false;
  if (const auto* text = std::get_if<action::Text>(&e.action)) {
    if (status.st_size != static_cast<off_t>(text->content.size())) return false;
    const io::Descriptor there = detail::open_there(at, e);
    return there && io::read_all(there.get(), e.path()) == text->content;
  }
  const auto* copy = std::get_if<action::Copy>(&e.action);
  if (copy == nullptr) return false;
  const io::Descriptor source(::open(copy->source.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!source) io::throw_errno("read", copy->source);
  const struct stat wanted = io::status_of(source, copy->source);
  if (identity_of(wanted) != copy->identity) return false;  // copying will report that
  if (wanted.st_size != status.st_size || (status.st_mode & 07777) != copied_mode(wanted.st_mode))
    return false;
  // Like rsync: a file that we injected with this size and time need not be compared again.
  const InjectedItem* item = before.find(e.path());
  if (item != nullptr && item->source == copy->source && is_unchanged(tree, *item) &&
      same_time(wanted.st_mtim, status.st_mtim))
    return true;
  const io::Descriptor there = detail::open_there(at, e);
  return there && same_bytes(source.get(), there.get(), copy->source);
}

}  // namespace ch::injection
