// SPDX-License-Identifier: Apache-2.0
//
// Floor 3a. The one description of each step: its name, a sentence for people, and its fields by
// name. Text, JSON, the fingerprint and == are derived from it. Each description decomposes the
// step by structured binding, so that a new field that is not described here does not compile.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string_view>
#include <type_traits>
#include <variant>

#include "ch/plan/step.hpp"

namespace ch {

/// The bytes of a file; text output shows only their number.
struct Content {
  std::string_view bytes{};
  friend constexpr bool operator==(Content, Content) noexcept = default;
};

struct Nanoseconds {
  std::uint64_t count = 0;
  friend constexpr bool operator==(Nanoseconds, Nanoseconds) noexcept = default;
};

/// A list of words that ends in null, as execve(2) takes them; null is no list.
struct Words {
  const char* const* first = nullptr;
  friend constexpr bool operator==(Words a, Words b) noexcept {
    if (a.first == nullptr || b.first == nullptr) return a.first == b.first;
    const char* const* mine = a.first;
    const char* const* theirs = b.first;
    for (; *mine != nullptr && *theirs != nullptr; ++mine, ++theirs)
      if (std::string_view(*mine) != *theirs) return false;
    return *mine == *theirs;
  }
};

/// Equal if their elements are.
template <class T>
struct List {
  std::span<const T> all{};
  friend constexpr bool operator==(List a, List b) noexcept {
    if (a.all.size() != b.all.size()) return false;
    for (std::size_t i = 0; i < a.all.size(); ++i)
      if (!(a.all[i] == b.all[i])) return false;
    return true;
  }
};
using Numbers = List<int>;
using Instructions = List<kernel::BpfInstruction>;

/// What a field holds: a kind for each way to show one.
using FieldValue = std::variant<std::string_view, Content, std::uint64_t, Nanoseconds,
                                NamespaceFlags, Access, IfMissing, Words, Numbers, Instructions>;

/// To whom a field is meaningful. A descriptor's number is neither shown to others nor compared
/// with theirs.
enum class Audience : std::uint8_t { everyone, this_process };

struct Field {
  constexpr Field() noexcept = default;
  /// `held` has one of the types of FieldValue, so that the compiler need not choose one.
  template <class T>
  constexpr Field(const char* called, const T& held, Audience told = Audience::everyone) noexcept
      : name(called), value(std::in_place_type<T>, held), audience(told) {}

  const char* name = "";
  FieldValue value{};
  Audience audience = Audience::everyone;
};

/// The description of a step. `sentence` refers to fields by {name}.
struct Description {
  static constexpr std::size_t max_fields = 5;
  const char* name;
  const char* sentence;
  std::size_t size = 0;
  Field fields[max_fields]{};

  // Not inline, to save a copy per kind of step.
  [[gnu::noinline]] constexpr Description(const char* called, const char* reads,
                                          std::initializer_list<Field> list) noexcept
      : name(called), sentence(reads) {
    for (const Field& field : list) fields[size++] = field;
  }
  [[nodiscard]] constexpr const Field* begin() const noexcept { return fields; }
  [[nodiscard]] constexpr const Field* end() const noexcept { return fields + size; }
};

namespace step {

[[nodiscard]] constexpr Description describe(const CreateNamespaces& s) noexcept {
  const auto& [flags, enter] = s;
  return {"create-namespaces",
          "make namespaces: {namespaces}",
          {{"namespaces", flags},
           {"enter", static_cast<std::uint64_t>(enter), Audience::this_process}}};
}
[[nodiscard]] constexpr Description describe(const JoinNamespaces& s) noexcept {
  const auto& [pid, flags, held, file] = s;
  return {"join-namespaces",
          file.empty() ? "join namespaces of process {pid}: {namespaces}"
                       : "join the namespace of {file}: {namespaces}",
          {{"pid", static_cast<std::uint64_t>(pid)},
           {"namespaces", flags},
           {"held", static_cast<std::uint64_t>(held), Audience::this_process},
           {"file", file.view()}}};
}
[[nodiscard]] constexpr Description describe(const MeetPeers& s) noexcept {
  const auto& [tag, expected, rank, timeout] = s;
  return {"meet-peers",
          expected == 0
              ? "join the container of tag {tag} if it exists, and skip the creator's steps"
              : "meet the {peers} peers of group {tag}; all but the first wait, join, and "
                "skip the creator's steps",
          {{"tag", tag.view()},
           {"peers", std::uint64_t{expected}},
           {"timeout_ms", Nanoseconds{timeout}},
           {"rank", static_cast<std::uint64_t>(rank), Audience::this_process}}};
}
[[nodiscard]] constexpr Description describe(const AdmitPeers& s) noexcept {
  const auto& [group] = s;
  Description description = describe(group);
  description.name = "admit-peers";
  description.sentence =
      group.expected == 0
          ? "let others find the container of tag {tag}"
          : "as the creator, hand the namespaces to the other peers when all {peers} are there";
  return description;
}
[[nodiscard]] constexpr Description describe(const DenySetgroups&) noexcept {
  return {"deny-setgroups", "deny setgroups", {}};
}
/// `sentences`: for one id, for a range, for several ranges.
template <class Map>
[[nodiscard]] constexpr Description describe_map(const char* name, const char* const* sentences,
                                                 const Map& map) noexcept {
  const auto& [range, more, writer] = map;
  const auto& [inside, outside, count] = range;
  return {name,
          sentences[!more.empty() ? 2
                    : count != 1  ? 1
                                  : 0],
          {{"inside", static_cast<std::uint64_t>(inside)},
           {"outside", static_cast<std::uint64_t>(outside)},
           {"count", std::uint64_t{count}},
           {"more", more.view()},
           {"writer", static_cast<std::uint64_t>(writer), Audience::this_process}}};
}
[[nodiscard]] constexpr Description describe(const MapUsers& s) noexcept {
  constexpr const char* sentences[] = {
      "map uid {inside} inside to {outside} outside",
      "map uids (inside outside count): {inside} {outside} {count}",
      "map uids (inside outside count): {inside} {outside} {count}, {more}"};
  return describe_map("map-users", sentences, s);
}
[[nodiscard]] constexpr Description describe(const MapGroups& s) noexcept {
  constexpr const char* sentences[] = {
      "map gid {inside} inside to {outside} outside",
      "map gids (inside outside count): {inside} {outside} {count}",
      "map gids (inside outside count): {inside} {outside} {count}, {more}"};
  return describe_map("map-groups", sentences, s);
}
[[nodiscard]] constexpr Description describe(const MakePrivate&) noexcept {
  return {"make-private", "make all mounts private", {}};
}
[[nodiscard]] constexpr Description describe(const OpenImage& s) noexcept {
  const auto& [image, access, directory, by] = s;
  return {"open-image",
          "open image {image}{access}",
          {{"image", image.view()},
           {"access", access},
           {"directory", static_cast<std::uint64_t>(directory), Audience::this_process},
           {"by", static_cast<std::uint64_t>(by), Audience::this_process}}};
}
[[nodiscard]] constexpr Description describe(const MakeScratch& s) noexcept {
  const auto& [size] = s;
  return {"make-scratch",
          size.empty() ? "make a tmpfs for generated files"
                       : "make a tmpfs for generated files, size {size}",
          {{"size", size.view()}}};
}
[[nodiscard]] constexpr Description describe(const Overlay& s) noexcept {
  const auto& [kind, directory] = s;
  constexpr struct {
    std::string_view name;
    const char* sentence;
  } kinds[] = {{"if-needed", "overlay the image if mount points are missing"},
               {"scratch", "overlay the image with the tmpfs, writable"},
               {"directory", "overlay the image with {directory}, writable and kept"}};
  const auto& chosen = kinds[static_cast<std::size_t>(kind)];
  return {"overlay", chosen.sentence, {{"kind", chosen.name}, {"directory", directory.view()}}};
}
[[nodiscard]] constexpr Description describe(const MakeScratchDirectory& s) noexcept {
  const auto& [path] = s;
  return {"make-scratch-directory", "make directory tmpfs:{path}", {{"path", path.view()}}};
}
[[nodiscard]] constexpr Description describe(const WriteScratchFile& s) noexcept {
  const auto& [path, content] = s;
  return {"write-scratch-file",
          "write file tmpfs:{path}, {content} bytes",
          {{"path", path.view()}, {"content", Content{content}}}};
}
[[nodiscard]] constexpr Description describe(const MakeLink& s) noexcept {
  const auto& [target, destination] = s;
  return {"make-link",
          "link {destination} to {target}",
          {{"target", target.view()}, {"destination", destination.view()}}};
}
template <class S>
[[nodiscard]] constexpr Description describe_bind(const char* name, const char* sentence,
                                                  const S& s) noexcept {
  const auto& [source, destination, access, if_missing] = s;
  return {name,
          sentence,
          {{"source", source.view()},
           {"destination", destination.view()},
           {"access", access},
           {"if_missing", if_missing}}};
}
[[nodiscard]] constexpr Description describe(const Bind& s) noexcept {
  return describe_bind("bind", "bind {source} on {destination}{access}{if_missing}", s);
}
[[nodiscard]] constexpr Description describe(const BindScratch& s) noexcept {
  return describe_bind("bind-scratch", "bind tmpfs:{source} on {destination}{access}{if_missing}",
                       s);
}
[[nodiscard]] constexpr Description describe(const MountFilesystem& s) noexcept {
  const auto& [type, destination] = s;
  return {"mount-filesystem",
          "mount a new {type} on {destination}",
          {{"type", type.view()}, {"destination", destination.view()}}};
}
[[nodiscard]] constexpr Description describe(const EnterRoot&) noexcept {
  return {"enter-root", "make this tree the root and detach the host's", {}};
}
[[nodiscard]] constexpr Description describe(const ChangeDirectory& s) noexcept {
  const auto& [path, if_missing] = s;
  return {"change-directory",
          if_missing == IfMissing::skip ? "change directory to {path}, if it exists"
                                        : "change directory to {path}",
          {{"path", path.view()}, {"if_missing", if_missing}}};
}
[[nodiscard]] constexpr Description describe(const ForbidNewPrivileges&) noexcept {
  return {"forbid-new-privileges", "forbid new privileges", {}};
}
[[nodiscard]] constexpr Description describe(const SetHostname& s) noexcept {
  const auto& [name] = s;
  return {"set-hostname", "set the host name to {name}", {{"name", name.view()}}};
}
[[nodiscard]] constexpr Description describe(const Redirect& s) noexcept {
  const auto& [from, to] = s;
  return {"redirect",
          "duplicate descriptor {from} to {to}",
          {{"from", static_cast<std::uint64_t>(from)}, {"to", static_cast<std::uint64_t>(to)}}};
}
[[nodiscard]] constexpr Description describe(const CloseDescriptors& s) noexcept {
  const auto& [keep] = s;
  return {"close-descriptors", "close descriptors from 3 on{keep}", {{"keep", Numbers{keep}}}};
}
[[nodiscard]] constexpr Description describe(const InstallFilter& s) noexcept {
  const auto& [program] = s;
  return {"install-filter",
          "install a seccomp filter of {instructions} instructions",
          {{"instructions", Instructions{program}}}};
}
[[nodiscard]] constexpr Description describe(const Execute& s) noexcept {
  const auto& [name, argv, envp, search_path] = s;
  return {"execute",
          name.view().find('/') == std::string_view::npos ? "execute{argv}  (from {search_path})"
                                                          : "execute{argv}",
          {{"name", name.view()},
           {"argv", Words{argv}},
           {"envp", Words{envp}},
           {"search_path", search_path.view()}}};
}

static_assert(std::is_empty_v<DenySetgroups> && std::is_empty_v<MakePrivate> &&
                  std::is_empty_v<EnterRoot> && std::is_empty_v<ForbidNewPrivileges>,
              "this step has fields now: describe them");

}  // namespace step

[[nodiscard]] constexpr Description describe(const Step& step) noexcept {
  return std::visit([](const auto& s) noexcept { return describe(s); }, step);
}

namespace step {
/// Steps are equal if they are of one kind and all of their fields are equal; texts and lists
/// compare by content. Instead of the == of std::variant, which needs one for each kind.
[[nodiscard]] constexpr bool operator==(const Step& a, const Step& b) noexcept {
  if (a.index() != b.index()) return false;
  const Description mine = ch::describe(a);
  const Description theirs = ch::describe(b);
  for (std::size_t i = 0; i < mine.size; ++i)
    if (!(mine.fields[i].value == theirs.fields[i].value)) return false;
  return true;
}
template <class S>
concept Kind = !std::same_as<S, Step> && std::constructible_from<Step, const S&>;
/// Two different kinds would convert to Step, and never be equal.
template <Kind A, Kind B>
requires(!std::same_as<A, B>) bool operator==(const A&, const B&) = delete;
}  // namespace step

}  // namespace ch
