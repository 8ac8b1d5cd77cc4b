// SPDX-License-Identifier: Apache-2.0
//
// Floor 3a. The fingerprint of a plan: a number each for the image, the mounts, the ids inside, and
// the namespaces. Processes that share a container compare theirs, to warn of options that have no
// effect because the container exists already.
#pragma once

#include "ch/kernel/fd.hpp"
#include "ch/plan/plan.hpp"

namespace ch {

/// What a container was made of, by kind, so that two can be compared and the difference
/// named. Equal values almost certainly mean equal containers.
struct Fingerprint {
  std::uint64_t image = 0, mounts = 0, ids = 0, namespaces = 0;
  friend constexpr bool operator==(const Fingerprint&, const Fingerprint&) noexcept = default;
};

namespace detail {

/// FNV-1a, 64 bits. Not collision-resistant, which is fine: all processes are the same user's.
constexpr void mix(std::uint64_t& hash, std::string_view bytes) noexcept {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
}
constexpr void mix(std::uint64_t& hash, std::uint64_t number) noexcept {
  for (int i = 0; i < 8; ++i, number >>= 8) hash = (hash ^ (number & 0xff)) * 0x100000001b3ULL;
}

/// Mixes a field's value into `hash`; texts with their length, so that no text can run into the
/// next.
struct MixValue {
  std::uint64_t& hash;

  constexpr void operator()(std::string_view text) const noexcept {
    mix(hash, std::uint64_t{text.size()});
    mix(hash, text);
  }
  constexpr void operator()(Content content) const noexcept { (*this)(content.bytes); }
  constexpr void operator()(std::uint64_t number) const noexcept { mix(hash, number); }
  constexpr void operator()(Nanoseconds time) const noexcept { mix(hash, time.count); }
  constexpr void operator()(NamespaceFlags flags) const noexcept {
    mix(hash, static_cast<std::uint64_t>(flags));
  }
  constexpr void operator()(Access access) const noexcept {
    mix(hash, static_cast<std::uint64_t>(access));
  }
  constexpr void operator()(IfMissing missing) const noexcept {
    mix(hash, static_cast<std::uint64_t>(missing));
  }
  constexpr void operator()(Words words) const noexcept {
    for (const char* const* w = words.first; w != nullptr && *w != nullptr; ++w)
      (*this)(std::string_view(*w));
  }
  constexpr void operator()(Numbers numbers) const noexcept {
    for (const int number : numbers.all) mix(hash, static_cast<std::uint64_t>(number));
  }
  constexpr void operator()(Instructions program) const noexcept {
    for (const kernel::BpfInstruction& i : program.all)
      mix(hash, std::uint64_t{i.code} << 48 | std::uint64_t{i.jt} << 40 |
                    std::uint64_t{i.jf} << 32 | i.k);
  }
};

/// Mixes the fields of a step that are the same in another process with the same options.
constexpr void mix(std::uint64_t& hash, const Step& step) noexcept {
  const Description description = describe(step);
  mix(hash, std::string_view(description.name));
  for (const Field& field : description)
    if (field.audience == Audience::everyone) std::visit(MixValue{hash}, field.value);
}

}  // namespace detail

/// What the container of `steps` is made of. Images are the same if they are the same
/// directory, whatever its path. One system call.
template <kernel::Kernel K>
[[nodiscard]] Fingerprint fingerprint(K& k, std::span<const Step> steps) noexcept {
  constexpr std::uint64_t basis = 0xcbf29ce484222325ULL;
  Fingerprint print{basis, basis, basis, basis};
  bool in_tree = false;
  for (const Step& step : steps) {
    if (std::holds_alternative<step::EnterRoot>(step)) in_tree = false;
    if (const auto* open = std::get_if<step::OpenImage>(&step)) {
      in_tree = true;
      kernel::Statx status;
      const bool by_path = open->by == FoundBy::path;
      if (kernel::statx(k, by_path ? Fd::cwd : open->directory, by_path ? open->image.c_str() : "",
                        by_path ? 0 : kernel::at_empty_path, status)
              .ok()) {
        for (const std::uint64_t part :
             {std::uint64_t{status.dev_major}, std::uint64_t{status.dev_minor}, status.ino})
          detail::mix(print.image, part);
        detail::mix(print.image, static_cast<std::uint64_t>(open->access));
      } else {
        detail::mix(print.image, step);
      }
      continue;
    }
    std::uint64_t* part = in_tree ? &print.mounts : nullptr;
    if (std::holds_alternative<step::MapUsers>(step) ||
        std::holds_alternative<step::MapGroups>(step))
      part = &print.ids;
    if (std::holds_alternative<step::CreateNamespaces>(step) ||
        std::holds_alternative<step::SetHostname>(step))
      part = &print.namespaces;
    if (part != nullptr) detail::mix(*part, step);
  }
  return print;
}

/// Writes in what two containers differ, as "image, mounts"; nothing if they don't.
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
