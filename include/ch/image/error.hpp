// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. Why an archive was not unpacked: what was attempted, on which member or path,
// the cause, and a remedy where we know one. Thrown, because it ends everything from
// deep inside a reader; the tool that catches it prints one message.
// Source for the errno texts: man 3 errno.
#pragma once

#include <sys/resource.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>

namespace ch::images {

/// What kind of failure, for callers that act on it.
enum class Failure {
  damaged,      // the input is cut or altered
  unsupported,  // the input is well-formed, but not what we take
  hostile,      // the input asks for something no honest archive asks for
  limit,        // larger than allowed
  system,       // the kernel refused a call
  refused,      // we will not do this to the destination
  interrupted,  // asked to stop
  usage,        // what was asked for does not go with this archive
};

/// A failure to unpack. Copyable, as exceptions must be.
class UnpackError : public std::exception {
 public:
  UnpackError(Failure kind, std::string path, std::string cause, std::string remedy = {},
              int code = 0)
      : kind_(kind),
        code_(code),
        path_(std::move(path)),
        cause_(std::move(cause)),
        remedy_(std::move(remedy)) {
    compose();
  }

  [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }
  [[nodiscard]] Failure kind() const noexcept { return kind_; }
  [[nodiscard]] int code() const noexcept { return code_; }  // errno, where one was the cause
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const std::string& cause() const noexcept { return cause_; }
  [[nodiscard]] const std::string& remedy() const noexcept { return remedy_; }
  [[nodiscard]] const std::string& archive() const noexcept { return archive_; }
  [[nodiscard]] const std::string& member() const noexcept { return member_; }

  /// Names the archive, if nobody did yet.
  void in_archive(std::string_view name) {
    if (archive_.empty()) archive_ = name;
    compose();
  }
  /// Names the member of the archive, if nobody did yet.
  void in_member(std::string_view name) {
    if (member_.empty()) member_ = name;
    compose();
  }

 private:
  void compose() {
    text_.clear();
    if (!archive_.empty()) text_ += archive_ + ": ";
    if (!member_.empty() && member_ != path_) text_ += "member " + member_ + ": ";
    if (!path_.empty() && path_ != archive_) text_ += path_ + ": ";
    text_ += cause_;
  }

  Failure kind_;
  int code_;
  std::string path_, cause_, remedy_, archive_, member_, text_;
};

/// What a person can do about `code`, or nothing.
[[nodiscard]] inline std::string remedy_for(int code) {
  switch (code) {
    case ENOSPC:
      return "free some space or inodes there (df, df -i), or unpack to another file system";
    case EDQUOT:
      return "your quota there is used up (quota -s); free some of it or unpack elsewhere";
    case EFBIG:
      return "raise the limit on the size of files: ulimit -f unlimited";
    case EROFS:
      return "choose a destination on a file system that can be written";
    case EACCES:
    case EPERM:
      return "choose a destination below a directory that you may write";
    case EMFILE:
    case ENFILE:
      return "allow more open files (ulimit -n 64), or close those that are inherited";
    case ENOMEM:
      return "raise the limit on memory (ulimit -v, or that of the batch job), or use a machine "
             "with more";
    default:
      return {};
  }
}

/// What std::bad_alloc means to a person. Source: man 2 getrlimit, RLIMIT_AS.
[[nodiscard]] inline UnpackError out_of_memory() {
  std::string cause = "out of memory";
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    cause += ": ulimit -v allows " + std::to_string(limit.rlim_cur / 1024) + " KiB";
  return {Failure::system, {}, std::move(cause), remedy_for(ENOMEM), ENOMEM};
}

/// Throws what errno says about an attempt ("make directory") on `path`.
[[noreturn]] inline void throw_errno(std::string_view attempt, std::string_view path,
                                     int code = errno) {
  char buffer[128];
  std::string cause = "can't ";
  cause += attempt;
  cause += ": ";
  cause += ::strerror_r(code, buffer, sizeof buffer);
  throw UnpackError(Failure::system, std::string(path), std::move(cause), remedy_for(code), code);
}

}  // namespace ch::images
