// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. Runs a function of this program inside a container and returns what it returns.
// The function runs in a copy of this process (fork), which has entered the container: it sees
// the image's files and this program's variables as they were; what it changes in memory is lost.
#pragma once

#include <cstdlib>
#include <cstring>
#include <exception>
#include <type_traits>

#include "ch/hosted/spawn.hpp"

namespace ch {

namespace detail {
/// A string_view, a span, and their kin; not an array, which has its elements inside.
template <class T>
concept ViewsElsewhere = requires(const T& view) {
  view.data();
  view.size();
}
&&!requires { std::tuple_size<T>::value; };
}  // namespace detail

/// What a called function may return: nothing, bytes that mean the same in the other process,
/// or a text.
template <class T>
concept Returnable = std::is_void_v<T> || std::same_as<T, std::string> ||
    (std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> && !detail::ViewsElsewhere<T>);

namespace detail {

enum class Told : char { result = 'r', failure = 'f', thrown = 't' };

[[nodiscard]] inline bool write_all(int fd, std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

inline void tell(int fd, Told kind, std::string_view bytes) noexcept {
  const char head = static_cast<char>(kind);
  if (write_all(fd, {&head, 1})) (void)write_all(fd, bytes);
}

/// Calls `function` and tells its result.
template <class T, class F>
void call_and_tell(int fd, F& function) {
  if constexpr (std::is_void_v<T>) {
    function();
    tell(fd, Told::result, {});
  } else {
    const T result = function();
    if constexpr (std::same_as<T, std::string>)
      tell(fd, Told::result, result);
    else
      tell(fd, Told::result, {reinterpret_cast<const char*>(&result), sizeof result});
  }
}

[[nodiscard]] inline std::string fields(const Failure& failure) {
  std::string all;
  for (const auto* text : {&failure.attempted, &failure.path, &failure.cause, &failure.remedy})
    all.append(*text).push_back('\0');
  all.append(std::to_string(static_cast<int>(failure.code))).push_back('\0');
  all.append(std::to_string(static_cast<int>(failure.operation))).push_back('\0');
  all.append(std::to_string(static_cast<int>(failure.kind)));
  return all;
}

[[nodiscard]] inline Failure from_fields(std::string_view all) {
  const auto next = [&all] {
    const std::string text(all.substr(0, all.find('\0')));
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

/// Enters the container. Where something has started a thread in the copy (a sanitizer's
/// runtime, a handler of pthread_atfork), the kernel moves nobody to a new user namespace
/// (EINVAL): then in a copy of the copy, which has none; the copy waits and ends like that.
[[nodiscard]] inline Result<void> enter_copy(kernel::Linux& k, const Plan& plan,
                                             const Execution& execution) noexcept {
  const Result<void> inside = execute(k, plan, execution);
  const auto* creates = std::get_if<step::CreateNamespaces>(&plan.steps[0]);
  if (inside || creates == nullptr || inside.error().code != Errno::einval ||
      inside.error().step != StepIndex{0})
    return inside;
  const auto copy = kernel::fork(k, static_cast<std::uint64_t>(creates->flags));
  if (!copy.ok()) return inside;
  if (copy.value() == Pid::none) {
    (void)kernel::prctl(k, pr_set_pdeathsig, sigkill);
    return execute(k, plan, execution, Descriptors::close_now, 1);
  }
  int status = 0;
  while (kernel::wait4(k, copy.value(), status).error() == Errno::eintr) {
  }
  end_like(k, status);
}

/// In the copy: enters the container, calls, tells, ends without any of the destructors and exit
/// handlers that are the original's.
template <class T, class F>
[[noreturn]] void be_called(const Plan& plan, const Execution& execution, F& function,
                            int fd) noexcept {
  kernel::Linux k;
  close_as_exec(k, plan, Fd{fd});
  const Result<void> inside = enter_copy(k, plan, execution);
  if (!inside) {
    tell(fd, Told::failure, fields(explain_failure(inside.error(), plan)));
    ::_exit(31);
  }
#if defined(__cpp_exceptions)
  try {
    call_and_tell<T>(fd, function);
  } catch (const std::exception& thrown) {
    tell(fd, Told::thrown, thrown.what());
  } catch (...) {
    tell(fd, Told::thrown, "something that is no std::exception");
  }
#else
  call_and_tell<T>(fd, function);
#endif
  ::_exit(0);
}

/// What the copy has told, or why it told nothing.
template <class T>
[[nodiscard]] Outcome<T> understand(const std::string& told, Outcome<ExitStatus> end) {
  const char kind = told.empty() ? '\0' : told[0];
  const std::string_view bytes = std::string_view(told).substr(told.empty() ? 0 : 1);
  if (kind == static_cast<char>(Told::failure)) return from_fields(bytes);
  Failure failure = failed_call(0, "call a function in the container");
  failure.part = FailedPart::program;
  if (kind == static_cast<char>(Told::thrown)) {
    failure.cause = "it threw: " + std::string(bytes);
    return failure;
  }
  if constexpr (std::is_void_v<T>) {
    if (kind == static_cast<char>(Told::result)) return {};
  } else if constexpr (std::same_as<T, std::string>) {
    if (kind == static_cast<char>(Told::result)) return std::string(bytes);
  } else if (kind == static_cast<char>(Told::result) && bytes.size() == sizeof(T)) {
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

/// Calls `function` inside `box` and returns its result.
///
/// In a program with threads only the calling one exists in the copy, so that a lock that
/// another one holds stays held: use what a function may use after fork (man 2 fork); libc's own
/// allocation is safe. Standard streams are this process's, and so are descriptors that are not
/// close-on-exec. What is printed must be flushed: buffers are not, at the end, since text that
/// was pending in them before is the caller's to write. An exception is a Failure that quotes it;
/// so is a death by a signal. Not for a box with a pid or time namespace (EINVAL), which a process
/// can't enter itself.
///
///     const auto box = ch::image("/img");
///     const auto has_gcc = ch::call(box, [] { return ::access("/usr/bin/gcc", X_OK) == 0; });
template <class B, class F>
[[nodiscard]] auto call(const B& box, F&& function) -> Outcome<std::invoke_result_t<F&>> {
  using T = std::invoke_result_t<F&>;
  static_assert(Returnable<T>,
                "Charlie: a function that ch::call calls returns void, std::string or a trivially "
                "copyable type that is no pointer or view: its result comes from another process.");
  const Request request{nullptr, detail::begin_environment(Inherit::environment), {}, {}, {},
                        false};
  return detail::with_plan(
      detail::as_box(box), request, [&](const Plan& plan, Arena& arena) -> Outcome<T> {
        if (detail::takes_init(plan)) {
          Failure wrong = detail::failed_call(EINVAL, "call a function in the container");
          wrong.cause = "only a child enters a pid or time namespace";
          wrong.remedy = "leave those out, or run a program";
          return wrong;
        }
        const Result<Execution> execution = prepare(plan, arena);
        if (!execution) return explain_failure(execution.error(), plan);
        detail::Pipe pipe = detail::make_pipe();
        if (!pipe.to) return detail::failed_call(errno, "make a pipe");
        const pid_t pid = ::fork();
        if (pid < 0) return detail::failed_call(errno, "start a process");
        if (pid == 0) detail::be_called<T>(plan, *execution, function, pipe.to.get());
        pipe.to.reset();
        detail::Handles handles;
        kernel::Linux k;
        if (const auto pidfd = kernel::pidfd_open(k, Pid{pid}); pidfd.ok())
          handles.pidfd = kernel::OwnedFd(static_cast<int>(pidfd.value()));
        Child child = detail::make_child(Pid{pid}, std::move(handles));
        std::string told;
        while (detail::read_some(pipe.from.get(), told)) {
        }
        return detail::understand<T>(told, child.wait());
      });
}

}  // namespace ch
