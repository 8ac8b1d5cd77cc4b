// SPDX-License-Identifier: Apache-2.0
//
// Floor 3b. The fingerprint of a plan: a number for what the image is, for what is mounted,
// who one is inside, and which namespaces there are. Two processes that are to share a
// container compare theirs, so that options which come to nothing are not silent.
#pragma once

#include "ch/kernel/fd.hpp"
#include "ch/meet/gathering.hpp"
#include "ch/show/print_text.hpp"

namespace ch {

namespace detail {

/// FNV-1a, 64 bits. Not against ill will: all who compare are the same user.
constexpr void mix(std::uint64_t& hash, std::string_view bytes) noexcept {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
}

}  // namespace detail

/// What the container of `steps` is made of. Images are the same if they are the same
/// directory, whatever its path. One system call.
template <kernel::Kernel K>
[[nodiscard]] Fingerprint fingerprint(K& k, std::span<const Step> steps) noexcept {
  constexpr std::uint64_t basis = 0xcbf29ce484222325ULL;
  Fingerprint print{basis, basis, basis, basis};
  char room[8704];  // two paths of the longest kind
  bool in_tree = false;
  for (const Step& step : steps) {
    if (std::holds_alternative<step::EnterRoot>(step)) in_tree = false;
    TextWriter text(room, sizeof room);
    if (const auto* open = std::get_if<step::OpenImage>(&step)) {
      in_tree = true;
      kernel::Statx status;
      if (kernel::statx(k, Fd::cwd, open->image.c_str(), 0, status).ok())
        text << status.dev_major << ':' << status.dev_minor << ' ' << status.ino;
      else
        text << open->image.text;
      text << (open->access == Access::read_only ? " ro" : " rw");
      detail::mix(print.image, text.view());
      continue;
    }
    std::uint64_t* part = in_tree ? &print.mounts : nullptr;
    if (std::holds_alternative<step::MapUsers>(step) ||
        std::holds_alternative<step::MapGroups>(step))
      part = &print.ids;
    if (std::holds_alternative<step::CreateNamespaces>(step) ||
        std::holds_alternative<step::SetHostname>(step))
      part = &print.namespaces;
    if (part == nullptr) continue;
    write_step(text, step);
    text << '\n';
    detail::mix(*part, text.view());
  }
  return print;
}

/// "image and mounts": in what two containers differ; nothing if they don't.
inline void write_differences(TextWriter& out, const Fingerprint& a,
                              const Fingerprint& b) noexcept {
  const struct {
    bool differs;
    const char* what;
  } parts[] = {{a.image != b.image, "image"},
               {a.mounts != b.mounts, "mounts"},
               {a.ids != b.ids, "user or group ids"},
               {a.namespaces != b.namespaces, "namespaces or host name"}};
  bool first = true;
  for (const auto& part : parts) {
    if (!part.differs) continue;
    if (!first) out << ", ";
    out << part.what;
    first = false;
  }
}

}  // namespace ch
