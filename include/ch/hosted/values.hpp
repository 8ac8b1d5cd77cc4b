// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. What compose and host_integrated take: values that own their texts, one function
// or constant each. A policy, the library's or your own, that holds no views of anything
// short-lived is such a value, too. Qualify ch::bind and ch::link: standard library arguments would
// bring in std::bind, and <unistd.h> has a link.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <optional>

#include "ch/hosted/duration.hpp"
#include "ch/hosted/failure.hpp"
#include "ch/hosted/given.hpp"
#include "ch/plan/peers.hpp"
#include "ch/presets.hpp"

namespace ch {

namespace detail {

template <class T>
constexpr void refuse_access() {
  static_assert(never<T>,
                "Charlie: what a container may do with a path is ch::Access::read_only or "
                "ch::Access::read_write.");
}
template <class T>
concept NoAccess = !std::same_as<T, Access>;
template <class T>
concept NoText = std::is_arithmetic_v<T> || !std::convertible_to<T, Given>;

}  // namespace detail

/// An image: a directory of the host that becomes the root.
struct Image {
  Given path{};
  Access access = Access::read_only;
  Fd directory = Fd::none;
  FoundBy by = FoundBy::path;

  using Policy = ImageRoot<>;
  [[nodiscard]] Policy policy() const noexcept {
    return {HostPath(path.c_str()), access, directory, by};
  }
  /// Why the descriptor, if there is one, can't be an image.
  [[nodiscard]] std::optional<Failure> problem() const {
    if (by != FoundBy::descriptor) return std::nullopt;
    struct stat status {};
    const int code = ::fstat(static_cast<int>(directory), &status) != 0 ? errno
                     : S_ISDIR(status.st_mode)                          ? 0
                                                                        : ENOTDIR;
    if (code == 0) return std::nullopt;
    Failure failure = detail::failed_call(
        code, "use descriptor " + std::to_string(static_cast<int>(directory)) + " as an image");
    if (code == ENOTDIR) {
      failure.cause = "it is open on something else than a directory";
      failure.remedy = "open the image's directory (O_PATH | O_DIRECTORY)";
    }
    return failure;
  }
};
[[nodiscard]] inline Image image(Given path, Access access = Access::read_only) {
  return {std::move(path), access};
}
/// Refuses anything else as access.
template <detail::NoAccess Other>
Image image(Given, const Other&) {
  detail::refuse_access<Other>();
  return {};
}
/// The image as an open descriptor (O_PATH will do), for a directory that others may rename, since
/// its path is not looked up again. The caller owns the descriptor and keeps it open while the box
/// is used. Sources of binds must then be absolute. Not for a box with a pid or time namespace.
/// Messages use the path that it has now.
[[nodiscard]] inline Image image(Fd directory, Access access = Access::read_only) {
  char path[4096] = "(an image without a path)";
  const std::string link = "/proc/self/fd/" + std::to_string(static_cast<int>(directory));
  const ssize_t size = ::readlink(link.c_str(), path, sizeof path);
  return {size > 0 ? Given(std::string_view(path, static_cast<std::size_t>(size))) : Given(path),
          access, directory, FoundBy::descriptor};
}

/// A host file or tree, shown in the container. There may be several, mounted in the order given.
struct Bind {
  Given source{};
  Given destination{};
  Access access = Access::read_write;

  [[nodiscard]] UserBind view() const noexcept {
    return {HostPath(source.c_str()), ImagePath(destination.c_str()), access};
  }
};
[[nodiscard]] inline Bind bind(Given source, Given destination,
                               Access access = Access::read_write) {
  return {std::move(source), std::move(destination), access};
}
/// At the same path inside.
[[nodiscard]] inline Bind bind(Given source, Access access = Access::read_write) {
  Given destination = source;
  return {std::move(source), std::move(destination), access};
}
/// Refuse anything else as access.
template <detail::NoAccess Other>
Bind bind(Given, Given, const Other&) {
  detail::refuse_access<Other>();
  return {};
}
template <detail::NoAccess Other>
requires detail::NoText<Other> Bind bind(Given, const Other&) {
  detail::refuse_access<Other>();
  return {};
}

/// A symbolic link, made in the container only.
struct Link {
  Given target{};
  Given destination{};

  [[nodiscard]] UserLink view() const noexcept {
    return {target.c_str(), ImagePath(destination.c_str())};
  }
};
[[nodiscard]] inline Link link(Given target, Given destination) {
  return {std::move(target), std::move(destination)};
}

/// A small read-only file with this content, in the container only.
struct File {
  Given content{};
  Given destination{};

  [[nodiscard]] UserFile view() const noexcept {
    return {content.view(), ImagePath(destination.c_str())};
  }
};
[[nodiscard]] inline File file(Given content, Given destination) {
  return {std::move(content), std::move(destination)};
}

/// A writable layer over the image: in memory, or in a directory that keeps the changes.
struct Layer {
  OverlayKind kind = OverlayKind::scratch;
  Given directory{};
  Given size{};

  using Policy = WritableLayer;
  [[nodiscard]] Policy policy() const noexcept {
    return {kind, HostPath(directory.c_str()), size.c_str()};
  }
};
/// Changes are lost at the end. `size` as for tmpfs ("64m", "12%"); default: half of the memory.
[[nodiscard]] inline Layer changes_in_memory(Given size = {}) {
  return {OverlayKind::scratch, {}, std::move(size)};
}
[[nodiscard]] inline Layer changes_in(Given directory) {
  return {OverlayKind::directory, std::move(directory), {}};
}

/// The host name inside. Needs a uts namespace, which this does not add.
struct Hostname {
  Given name{};
};
[[nodiscard]] inline Hostname hostname(Given name) { return {std::move(name)}; }

namespace detail {

/// Does the value have a NUL inside a text that may also be empty? In texts that must not be empty
/// it is noticed anyway, since c_str() is empty then.
template <class V>
[[nodiscard]] constexpr bool has_nul(const V&) noexcept {
  return false;
}
[[nodiscard]] inline bool has_nul(const Hostname& value) noexcept { return value.name.has_nul(); }
[[nodiscard]] inline bool has_nul(const Layer& value) noexcept { return value.size.has_nul(); }

}  // namespace detail

/// One container shared by `count` processes of one user on one machine, each of which passes this
/// value.
struct Peers {
  Given tag{};
  std::uint32_t count = 1;
  Duration timeout{};  // how long to wait for all peers; 0: 30 s

  using Policy = PeerGroup;
  [[nodiscard]] Policy policy() const noexcept {
    constexpr long long second = 1'000'000'000;
    const long long whole = timeout.nanoseconds <= 0 ? 30 : (timeout.nanoseconds - 1) / second + 1;
    return {tag.c_str(), count, no_rank, static_cast<std::uint64_t>(whole)};
  }
  /// Why there can be no such group.
  [[nodiscard]] std::optional<Failure> problem() const {
    const bool has_tag = is_tag(tag.view());
    if (has_tag && count > 0) return std::nullopt;
    Failure failure = detail::failed_call(EINVAL, "plan a container for peers");
    failure.cause = has_tag ? "a group has at least one process"
                            : "a group's tag has 1 to 64 visible ASCII characters";
    failure.remedy = has_tag ? "give the number of processes that start with this tag"
                             : "use a tag such as the number of the job";
    return failure;
  }
};
[[nodiscard]] inline Peers peers(Given tag, std::uint32_t count, Duration timeout = {}) {
  return {std::move(tag), count, timeout};
}

/// The user and mount namespaces of a running process, and those that ch::also names.
[[nodiscard]] inline AttachToPid attach(int pid) noexcept { return {Pid{pid}}; }

/// /dev, /proc and /sys of the host, with everything mounted below them.
inline constexpr Devices devices{};
/// /etc/hosts, resolv.conf and machine-id of the host, each if both host and image have it.
inline constexpr HostFiles host_files{};
/// /etc/passwd and /etc/group with the ids that exist inside.
inline constexpr Accounts accounts{};
inline constexpr Tmp<> shared_tmp{TmpKind::shared_with_host};
inline constexpr Tmp<> private_tmp{TmpKind::private_tmpfs};
/// The ids inside: the same, root, or chosen ones.
inline constexpr SameIds same_ids{};
inline constexpr AsRoot as_root{};

/// Lets chown, setuid, mknod and the like appear to succeed, so that with as_root package managers
/// can install into a writable image or layer, which then keeps its own accounts. Part of
/// host_integrated only. No protection against what runs inside (plan/root_emulation.hpp).
struct EmulateRoot {};
inline constexpr EmulateRoot emulate_root{};
[[nodiscard]] constexpr ChosenIds ids(Uid uid, Gid gid) noexcept { return {uid, gid}; }
/// Refuses plain numbers, which would be easy to swap.
template <class U, class G>
requires(std::is_arithmetic_v<U> || std::is_arithmetic_v<G>) ChosenIds ids(U, G) {
  static_assert(detail::never<U>, "Charlie: write ch::ids(ch::Uid{...}, ch::Gid{...}).");
  return {};
}
/// Namespaces besides user and mount: `ch::also<ch::ns::pid, ch::ns::uts>`.
template <class... Kinds>
inline constexpr NamespaceSet<ns::user, ns::mount, Kinds...> also{};

}  // namespace ch
