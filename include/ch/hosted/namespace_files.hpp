// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. A box in namespaces that files stand for. Source: man 7 namespaces.
#pragma once

#include <fcntl.h>

#include <initializer_list>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "ch/hosted/request.hpp"
#include "ch/hosted/stream.hpp"
#include "ch/kernel/owned_fd.hpp"
#include "ch/policies/join/namespace_files.hpp"
#include "ch/policies/ns/namespace_set.hpp"

namespace ch {

/// A JoinStrategy that holds the files open; made by attach. Copies share them.
class NamespaceFiles {
 public:
  using Policy = AttachToFiles;

  NamespaceFiles(std::initializer_list<std::pair<NamespaceFlags, Given>> files)
      : held_(std::make_shared<Held>()) {
    held_->paths.reserve(files.size());  // they are viewed, and must not move
    for (const auto& [kind, path] : files) {
      const Given& own = held_->paths.emplace_back(path);
      const kernel::OwnedFd& file = held_->files.emplace_back(detail::above_streams(
          kernel::OwnedFd(::open(own.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY))));
      if (!file && !held_->problem) held_->problem = unopened(own, kind);
      held_->views.push_back({file.kernel_fd(), kind, own.c_str()});
    }
  }
  NamespaceFiles(const NamespaceFiles&) = default;  // and no move, which would leave nothing
  NamespaceFiles& operator=(const NamespaceFiles&) = default;
  ~NamespaceFiles() = default;

  [[nodiscard]] Policy policy() const noexcept { return {held_->views}; }
  /// Why a file can't be opened, which planning a box of them fails with.
  [[nodiscard]] const std::optional<Failure>& problem() const noexcept { return held_->problem; }

 private:
  [[nodiscard]] static Failure unopened(const Given& path, NamespaceFlags kind) {
    const int code = errno;
    if (path.has_nul()) return detail::embedded_nul("open the file of a namespace");
    Failure failure = detail::failed_call(code, {}, path.str());
    detail::add_join_problem(failure, detail::explain_unopened(path.str(), kind, code));
    return failure;
  }
  struct Held {
    std::vector<Given> paths{};
    std::vector<kernel::OwnedFd> files{};
    std::vector<NamespaceFile> views{};
    std::optional<Failure> problem{};
  };
  std::shared_ptr<Held> held_;
};

/// The namespaces that files stand for, a file for each kind, joined in this order; a user
/// namespace comes first. Nothing is mounted and no ids are mapped.
///
///     const auto box = ch::compose(ch::attach<ch::ns::user, ch::ns::net>(user_file, net_file));
template <class... Kinds, class... Files>
requires(sizeof...(Kinds) > 0) [[nodiscard]] NamespaceFiles attach(const Files&... files) {
  static_assert(sizeof...(Kinds) == sizeof...(Files),
                "Charlie: ch::attach takes a file for each kind of namespace, in the same order: "
                "ch::attach<ch::ns::user, ch::ns::net>(USER_FILE, NET_FILE).");
  if constexpr (sizeof...(Kinds) == sizeof...(Files))
    return {std::pair<NamespaceFlags, Given>(Kinds::flag, files)...};
  else
    return {};
}
/// Refuses files without their kinds.
template <class Text>
requires(!std::is_arithmetic_v<Text> && std::constructible_from<Given, const Text&>) NamespaceFiles
    attach(const Text&) {
  static_assert(
      detail::never<Text>,
      "Charlie: ch::attach takes the number of a process, or the kinds of namespaces with "
      "their files: ch::attach<ch::ns::net>(FILE).");
  return {};
}

}  // namespace ch
