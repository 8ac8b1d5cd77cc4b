// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. What went wrong, in words; and a value or such a failure. The freestanding Error says
// which step, which call and which errno; a Failure is made from one while its plan and the host's
// limits can still be asked, and may be kept, copied to a log, or shown to a person.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "ch/hosted/explain_errno.hpp"
#include "ch/hosted/explain_join.hpp"
#include "ch/show/explain.hpp"

namespace ch {

/// Which part failed: the container, or the program in a container that was made.
enum class FailedPart : std::uint8_t { container, program };

/// A failed operation. `attempted` follows "can't"; `path`, `cause` and `remedy` may be empty.
struct Failure {
  Errno code = Errno::none;                     // none: no errno applies
  kernel::Call operation = kernel::Call::none;  // none: no system call failed
  FailedPart part = FailedPart::container;
  Remedy kind = Remedy::as_worded;  // of remedy, for a front end that words it with its own options
  std::string attempted{};
  std::string path{};
  std::string cause{};
  std::string remedy{};

  /// For main to return: 31 if there was no container, 49 if there was one but the program could
  /// not be started. The same as ch-run's.
  [[nodiscard]] int exit_status() const noexcept { return part == FailedPart::program ? 49 : 31; }
  /// "can't bind /x: ENOENT ... from openat2", then a line each for cause and remedy.
  [[nodiscard]] std::string text() const {
    TextBuffer<64> called;
    if (operation != kernel::Call::none) called << " from " << kernel::shape(operation).name;
    TextBuffer<96> number;
    if (code != Errno::none) number << ": " << code;
    std::string all = "can't " + attempted;
    if (!path.empty()) all.append(" ").append(path);
    all.append(number.view()).append(called.view());
    if (!cause.empty()) all.append("\ncause: ").append(cause);
    if (!remedy.empty()) all.append("\nremedy: ").append(remedy);
    return all;
  }
  template <class Traits>
  friend std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& out,
                                                      const Failure& failure) {
    return out << failure.text();
  }
};

namespace detail {

/// The path that `error` is about; it may be put together from two texts of the plan.
[[nodiscard]] inline std::string path_of(const Error& error, const Plan& plan) {
  TextBuffer<2 * 4096> path;
  write_path(path, error, plan);
  return std::string(path.view());
}

/// Fills in what the errno alone says, if nothing better is known.
inline void add_general_cause(Failure& failure, const Explanation& known) {
  if (failure.cause.empty()) {
    failure.cause = std::string(known.cause.view());
    failure.remedy = std::string(known.remedy.view());
  }
  add_numbers(failure.cause, failure.code, failure.operation);
}

/// Fills in why namespaces can't be joined, if more is known than explain says.
inline void add_join_problem(Failure& failure, JoinProblem problem) {
  failure.attempted = std::move(problem.attempted);
  if (!problem.path.empty()) failure.path = std::move(problem.path);
  if (problem.cause.empty()) return;
  failure.cause = std::move(problem.cause);
  failure.remedy = std::move(problem.remedy);
}

}  // namespace detail

/// Explains `error`, which came from `plan`, by the host's present limits. Six system calls; some
/// more if a limit was reached or namespaces can't be joined.
[[nodiscard]] inline Failure explain_failure(const Error& error, const Plan& plan) {
  kernel::Linux k;
  Explanation known = explain(error, plan, probe_limits(k));
  if (error.code == Errno::eacces && head(error.path, 11) == "/proc/self/")
    if (const Explanation own = detail::explain_own_proc(); !own.cause.empty()) known = own;
  const auto index = static_cast<std::size_t>(error.step);
  const bool in_plan = error.step != StepIndex::none && index < plan.steps.size();
  Failure failure{error.code,
                  error.operation,
                  failed_to_execute(error, plan) ? FailedPart::program : FailedPart::container,
                  known.kind,
                  detail::attempt_of(error, plan),
                  detail::path_of(error, plan),
                  std::string(known.cause.view()),
                  std::string(known.remedy.view())};
  detail::add_general_cause(failure, detail::explain_call(error.code, error.operation));
  const auto* joins = in_plan ? std::get_if<step::JoinNamespaces>(&plan.steps[index]) : nullptr;
  const bool refused =
      error.operation == kernel::Call::setns || error.operation == kernel::Call::pidfd_open;
  if (joins != nullptr && refused)
    detail::add_join_problem(failure, detail::explain_join(error, *joins));
  return failure;
}

/// A value, or the failure in its place: the part of std::expected that we use. `*` and `->` need a
/// value, error() a failure.
template <class T>
class [[nodiscard]] Outcome {
 public:
  Outcome(T value) : held_(std::in_place_index<0>, std::move(value)) {}            // NOLINT
  Outcome(Failure failure) : held_(std::in_place_index<1>, std::move(failure)) {}  // NOLINT

  [[nodiscard]] bool has_value() const noexcept { return held_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  [[nodiscard]] T& operator*() noexcept { return *std::get_if<0>(&held_); }
  [[nodiscard]] const T& operator*() const noexcept { return *std::get_if<0>(&held_); }
  [[nodiscard]] T* operator->() noexcept { return std::get_if<0>(&held_); }
  [[nodiscard]] const T* operator->() const noexcept { return std::get_if<0>(&held_); }
  [[nodiscard]] Failure& error() noexcept { return *std::get_if<1>(&held_); }
  [[nodiscard]] const Failure& error() const noexcept { return *std::get_if<1>(&held_); }

 private:
  std::variant<T, Failure> held_;
};

/// The same without a value: success, or a failure.
template <>
class [[nodiscard]] Outcome<void> {
 public:
  Outcome() = default;
  Outcome(Failure failure) : failure_(std::move(failure)) {}  // NOLINT

  [[nodiscard]] bool has_value() const noexcept { return !failure_; }
  explicit operator bool() const noexcept { return has_value(); }
  [[nodiscard]] Failure& error() noexcept { return *failure_; }
  [[nodiscard]] const Failure& error() const noexcept { return *failure_; }

 private:
  std::optional<Failure> failure_{};
};

namespace detail {

/// The failure of a call that this process made while trying to do `attempted`; `operation` if the
/// call is not about a file.
[[nodiscard]] inline Failure failed_call(int code, std::string attempted, std::string path = {},
                                         kernel::Call operation = kernel::Call::none) {
  Failure failure;
  failure.code = static_cast<Errno>(code);
  failure.operation = operation;
  failure.attempted = std::move(attempted);
  failure.path = std::move(path);
  add_general_cause(failure, explain_call(failure.code, operation));
  return failure;
}

}  // namespace detail
}  // namespace ch
