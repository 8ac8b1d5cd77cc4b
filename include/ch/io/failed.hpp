// SPDX-License-Identifier: Apache-2.0
//
// Floor 6a. The one exception of floor 6. It unwinds from deep inside a reader or a transaction and
// carries a Failure: the public functions return that, the tools print it. Source for errno texts:
// man 3 errno.
#pragma once

#include <cerrno>
#include <concepts>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "ch/hosted/failure.hpp"
#include "ch/io/text.hpp"

namespace ch::io {

/// Why something failed, for callers that act on it.
enum class Reason : std::uint8_t {
  system,       // the kernel refused a call
  refused,      // we will not do this to what is there now
  damaged,      // the input is truncated or altered
  unsupported,  // the input is well-formed, but not what we take
  hostile,      // the input asks for something that no honest input would
  limit,        // larger than allowed
  interrupted,  // asked to stop
};

/// Copyable, as exceptions must be. Says "FILE: member MEMBER: PATH: CAUSE", as far as known.
class Failed : public std::exception {
 public:
  /// The reason is `system`, or without an errno `refused`.
  Failed(std::string path, std::string cause, std::string remedy = {}, int code = 0)
      : reason_(code == EINTR ? Reason::interrupted
                : code != 0   ? Reason::system
                              : Reason::refused) {
    failure_.code = static_cast<Errno>(code);
    failure_.path = std::move(path);
    failure_.cause = std::move(cause);
    failure_.remedy = std::move(remedy);
    compose();
  }
  Failed(std::same_as<Reason> auto reason, std::string path, std::string cause,
         std::string remedy = {}, int code = 0)
      : Failed(std::move(path), std::move(cause), std::move(remedy), code) {
    reason_ = reason;
  }
  /// A failure that a lower floor has already explained.
  explicit Failed(Failure failure) : reason_(Reason::system), failure_(std::move(failure)) {
    compose();
  }

  [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }
  [[nodiscard]] Reason reason() const noexcept { return reason_; }
  [[nodiscard]] int code() const noexcept { return static_cast<int>(failure_.code); }
  [[nodiscard]] const std::string& path() const noexcept { return failure_.path; }
  [[nodiscard]] const std::string& cause() const noexcept { return failure_.cause; }
  [[nodiscard]] const std::string& remedy() const noexcept { return failure_.remedy; }
  [[nodiscard]] Remedy kind() const noexcept { return failure_.kind; }
  [[nodiscard]] const std::string& member() const noexcept { return member_; }

  /// Sets the kind of the remedy, for a front end that has an option for it.
  [[nodiscard]] Failed with_kind(Remedy kind) && {
    failure_.kind = kind;
    return std::move(*this);
  }
  /// Names the file, unless that was done before.
  void in_file(std::string_view name) {
    if (file_.empty()) file_ = name;
    compose();
  }
  /// Names the member of the file, unless that was done before.
  void in_member(std::string_view name) {
    if (member_.empty()) member_ = name;
    compose();
  }
  /// For a public function to return: "can't ATTEMPTED PATH", and this as the cause.
  [[nodiscard]] Failure failure(std::string attempted, std::string path) const {
    Failure told = failure_;
    told.attempted = std::move(attempted);
    told.cause = text_;
    told.path = std::move(path);
    return told;
  }

 private:
  void compose() {
    text_.clear();
    if (!file_.empty()) text_ += file_ + ": ";
    if (!member_.empty() && member_ != path()) text_ += "member " + member_ + ": ";
    if (!path().empty() && path() != file_) text_ += path() + ": ";
    text_ += cause();
  }

  Reason reason_;
  Failure failure_;
  std::string file_, member_, text_;
};

[[nodiscard]] inline std::string errno_text(int code) {
  char buffer[128];
  return ::strerror_r(code, buffer, sizeof buffer);
}

/// What a person can do about `code`; may be empty.
[[nodiscard]] inline std::string remedy_for(int code) {
  const Explanation limit = detail::explain_limit(static_cast<Errno>(code), kernel::Call::none);
  const Explanation known =
      limit.remedy.empty() ? detail::explain_file(static_cast<Errno>(code)) : limit;
  return std::string(known.remedy.view());
}

/// What std::bad_alloc means to a person.
[[nodiscard]] inline Failed out_of_memory() {
  const Explanation known = detail::explain_limit(Errno::enomem, kernel::Call::none);
  return {std::string(), std::string(known.cause.view()) + detail::limit_in_numbers(Errno::enomem),
          std::string(known.remedy.view()), ENOMEM};
}

[[nodiscard]] inline Failed interrupted() {
  return {Reason::interrupted, std::string(), "interrupted", {}, EINTR};
}

/// Throws what errno says about an attempt ("make directory") on `path`.
[[noreturn]] inline void throw_errno(std::string_view attempt, std::string_view path,
                                     int code = errno) {
  std::string cause = "can't ";
  cause.append(attempt).append(": ").append(errno_text(code));
  throw Failed(Reason::system, printable(path), std::move(cause), remedy_for(code), code);
}

}  // namespace ch::io
