// SPDX-License-Identifier: Apache-2.0
//
// Floor 6. Why files were not injected: on which path, the cause, and a remedy where we
// know one. Thrown, because it ends everything and the transaction then undoes what was
// done; the tool that catches it prints one message. Source for errno texts: man 3 errno.
#pragma once

#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>

namespace ch::injection {

/// A failure to inject. Copyable, as exceptions must be.
class InjectError : public std::exception {
 public:
  InjectError(std::string path, std::string cause, std::string remedy = {}, int code = 0)
      : code_(code), path_(std::move(path)), cause_(std::move(cause)), remedy_(std::move(remedy)) {
    text_ = path_.empty() ? cause_ : cause_ + ": " + path_;
  }
  [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }
  [[nodiscard]] int code() const noexcept { return code_; }  // errno, where one was the cause
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const std::string& cause() const noexcept { return cause_; }
  [[nodiscard]] const std::string& remedy() const noexcept { return remedy_; }

 private:
  int code_;
  std::string path_, cause_, remedy_, text_;
};

/// What a person can do about `code`, or nothing.
[[nodiscard]] inline std::string remedy_for(int code) {
  switch (code) {
    case ENOSPC:
      return "free some space or inodes where the image lies (df, df -i)";
    case EDQUOT:
      return "your quota there is used up (quota -s); free some of it";
    case EFBIG:
      return "raise the limit on the size of files: ulimit -f unlimited";
    case EROFS:
      return "copy the image to a file system that can be written";
    case EACCES:
    case EPERM:
      return "inject into an image that belongs to you, and files that you can read";
    case EMFILE:
    case ENFILE:
      return "raise the limit on open files: ulimit -n";
    case ENOMEM:
      return "free some memory, or raise the limit on it (ulimit -a)";
    case EXDEV:
      return "another file system is mounted inside the image there; unmount it first";
    default:
      return {};
  }
}

[[nodiscard]] inline std::string errno_text(int code) {
  char buffer[128];
  return ::strerror_r(code, buffer, sizeof buffer);
}

/// How a process ended, from the status that man 2 wait has.
[[nodiscard]] inline std::string end_of(int status) {
  return WIFSIGNALED(status) ? std::string("was killed: ") + ::strsignal(WTERMSIG(status))
                             : "failed with status " + std::to_string(WEXITSTATUS(status));
}

/// A path as people can read it, whatever bytes it has: what is no printable ASCII or a
/// part of UTF-8 becomes \ooo.
[[nodiscard]] inline std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      out += c;
      continue;
    }
    out += '\\';
    for (int shift = 6; shift >= 0; shift -= 3)
      out += static_cast<char>('0' + ((byte >> shift) & 7));
  }
  return out;
}

/// Throws what errno says about an attempt ("make directory") on `path`.
[[noreturn]] inline void throw_errno(std::string_view attempt, std::string_view path,
                                     int code = errno) {
  throw InjectError(printable(path),
                    "can't " + std::string(attempt) + " (" + errno_text(code) + ")",
                    remedy_for(code), code);
}

}  // namespace ch::injection
