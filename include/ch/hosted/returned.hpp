// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. What a function that runs in a copy of this process may return, and how its result,
// its exception or its failure to begin comes back: as bytes of a pipe, the first of which says
// what follows.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <type_traits>

#include "ch/hosted/failure.hpp"
#include "ch/launch.hpp"

namespace ch {

namespace detail {
/// A string_view, a span and the like; not an array, which contains its elements.
template <class T>
concept ViewsElsewhere = requires(const T& view) {
  view.data();
  view.size();
}
&&!requires { std::tuple_size<T>::value; };
}  // namespace detail

/// What a called function may return: nothing, bytes that mean the same in another process, or a
/// text.
template <class T>
concept Returnable = std::is_void_v<T> || std::same_as<T, std::string> ||
    (std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> && !detail::ViewsElsewhere<T>);

namespace detail {

enum class ReplyKind : char { result = 'r', failure = 'f', thrown = 't' };

[[nodiscard]] inline bool write_all(int fd, std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

inline void send_reply(int fd, ReplyKind kind, std::string_view bytes) noexcept {
  const char head = static_cast<char>(kind);
  if (write_all(fd, {&head, 1})) (void)write_all(fd, bytes);
}

/// Calls `function` and sends its result.
template <class T, class F>
void call_and_reply(int fd, F& function) {
  if constexpr (std::is_void_v<T>) {
    function();
    send_reply(fd, ReplyKind::result, {});
  } else {
    const T result = function();
    if constexpr (std::same_as<T, std::string>)
      send_reply(fd, ReplyKind::result, result);
    else
      send_reply(fd, ReplyKind::result, {reinterpret_cast<const char*>(&result), sizeof result});
  }
}

[[nodiscard]] inline std::string failure_to_bytes(const Failure& failure) {
  std::string all;
  for (const auto* text : {&failure.attempted, &failure.path, &failure.cause, &failure.remedy})
    all.append(*text).push_back('\0');
  all.append(std::to_string(static_cast<int>(failure.code))).push_back('\0');
  all.append(std::to_string(static_cast<int>(failure.operation))).push_back('\0');
  all.append(std::to_string(static_cast<int>(failure.kind)));
  return all;
}

[[nodiscard]] inline Failure failure_from_bytes(std::string_view all) {
  const auto next = [&all] {
    std::string text(all.substr(0, all.find('\0')));
    all = tail(all, text.size() + 1);
    return text;
  };
  Failure failure;
  failure.attempted = next();
  failure.path = next();
  failure.cause = next();
  failure.remedy = next();
  failure.code = static_cast<Errno>(std::atoi(next().c_str()));
  failure.operation = static_cast<kernel::Call>(std::atoi(next().c_str()));
  failure.kind = static_cast<Remedy>(std::atoi(next().c_str()));
  return failure;
}

/// What the copy replied, or why there is no reply.
template <class T>
[[nodiscard]] Outcome<T> parse_reply(const std::string& reply, const Outcome<ExitStatus>& end) {
  const char kind = reply.empty() ? '\0' : reply[0];
  const std::string_view bytes = std::string_view(reply).substr(reply.empty() ? 0 : 1);
  if (kind == static_cast<char>(ReplyKind::failure)) return failure_from_bytes(bytes);
  Failure failure = failed_call(0, "call a function in the container");
  failure.part = FailedPart::program;
  if (kind == static_cast<char>(ReplyKind::thrown)) {
    failure.cause = "it threw: " + std::string(bytes);
    return failure;
  }
  if constexpr (std::is_void_v<T>) {
    if (kind == static_cast<char>(ReplyKind::result)) return {};
  } else if constexpr (std::same_as<T, std::string>) {
    if (kind == static_cast<char>(ReplyKind::result)) return std::string(bytes);
  } else if (kind == static_cast<char>(ReplyKind::result) && bytes.size() == sizeof(T)) {
    alignas(T) std::byte room[sizeof(T)];
    std::memcpy(room, bytes.data(), sizeof room);
    return *std::launder(reinterpret_cast<const T*>(room));
  }
  failure.cause = !end               ? end.error().cause
                  : end->signal != 0 ? "its process died of signal " + std::to_string(end->signal)
                                     : "its process ended with status " + std::to_string(end->code);
  return failure;
}

}  // namespace detail
}  // namespace ch
