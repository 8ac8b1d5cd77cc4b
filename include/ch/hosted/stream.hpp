// SPDX-License-Identifier: Apache-2.0
//
// Floor 5h. What a program's standard input, output and error are. They are opened in this
// process, so that paths are the host's and errors are reported before anything starts; the
// container's process only duplicates them into place (step::Redirect).
// Source: man 2 dup, pipe, memfd_create.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "ch/hosted/failure.hpp"
#include "ch/hosted/given.hpp"
#include "ch/kernel/owned_fd.hpp"
#include "ch/kernel/process.hpp"

namespace ch {

/// One of a program's three standard streams.
class Stream {
 public:
  enum class Kind : std::uint8_t { inherit, null, descriptor, file, append, pipe, text };

  Stream() = default;  // inherited from this process
  /// /dev/null.
  [[nodiscard]] static Stream null() { return Stream(Kind::null); }
  /// An open descriptor, which the caller still owns.
  [[nodiscard]] static Stream descriptor(int fd) { return Stream(Kind::descriptor, {}, fd); }
  /// A file of the host. For input it is read; for output it is created or truncated.
  [[nodiscard]] static Stream file(Given path) { return Stream(Kind::file, std::move(path)); }
  /// A file of the host to append output to; created if missing.
  [[nodiscard]] static Stream append(Given path) { return Stream(Kind::append, std::move(path)); }
  /// A pipe whose other end belongs to the Child.
  [[nodiscard]] static Stream pipe() { return Stream(Kind::pipe); }
  /// These bytes as input, however many: from a file in memory, so that nobody has to feed a pipe.
  [[nodiscard]] static Stream text(Given bytes) { return Stream(Kind::text, std::move(bytes)); }

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] const std::string& str() const noexcept { return text_.str(); }
  [[nodiscard]] const char* path() const noexcept { return text_.c_str(); }
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  explicit Stream(Kind kind, Given text = {}, int fd = -1) noexcept
      : kind_(kind), fd_(fd), text_(std::move(text)) {}

  Kind kind_ = Kind::inherit;
  int fd_ = -1;
  Given text_{};
};

namespace detail {

using kernel::OwnedFd;

/// A stream that has been opened: `inside` takes the place of the program's, `outside` is the
/// other end of a pipe. `number` is that of `inside`, or the caller's descriptor; -1: inherited.
struct OpenStream {
  OwnedFd inside{};
  OwnedFd outside{};
  int number = -1;
};

/// Another descriptor of the same file, above 2; none on error (errno).
[[nodiscard]] inline OwnedFd duplicate(int fd) noexcept {
  OwnedFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy && errno == EINVAL) errno = EMFILE;  // fewer than four may be open
  return copy;
}

/// The same file above 2, so that no redirection overwrites what another one needs.
[[nodiscard]] inline OwnedFd above_streams(OwnedFd fd) noexcept {
  if (!fd || fd.get() > 2) return fd;
  return duplicate(fd.get());
}

/// A file in memory that holds `bytes`, to be read from its start; none on error (errno).
[[nodiscard]] inline OwnedFd memory_file_of(std::string_view bytes) noexcept {
  kernel::Linux k;
  kernel::RLimit limit;  // a write beyond the limit would kill this process (SIGXFSZ)
  if (kernel::getrlimit(k, kernel::rlimit_fsize, limit).ok() && bytes.size() > limit.soft) {
    errno = EFBIG;
    return {};
  }
  OwnedFd file(::memfd_create("input", MFD_CLOEXEC));
  while (file && !bytes.empty()) {
    const auto n = ::write(file.get(), bytes.data(), bytes.size());
    if (n < 0 && errno != EINTR) return {};
    if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  if (file && ::lseek(file.get(), 0, SEEK_SET) != 0) return {};
  return file;
}

/// A file of the host; none on error (errno). Opened without libc, as it is closed: a thread
/// sanitizer that saw only one of the two would report the reuse of a descriptor number as a race.
[[nodiscard]] inline OwnedFd open_path(const char* path, std::uint64_t flags) noexcept {
  kernel::Linux k;
  const auto opened = kernel::openat(k, Fd::cwd, path, flags, 0666);
  if (!opened.ok()) errno = static_cast<int>(opened.error());
  return OwnedFd(opened.ok() ? static_cast<int>(opened.value()) : -1);
}

/// A pipe, whose ends are close-on-exec; none on error (errno). Like open_path.
struct Pipe {
  OwnedFd from{};
  OwnedFd to{};
};
[[nodiscard]] inline Pipe make_pipe() noexcept {
  kernel::Linux k;
  Fd ends[2] = {Fd::none, Fd::none};
  if (const auto made = kernel::pipe(k, ends); !made.ok()) {
    errno = static_cast<int>(made.error());
    return {};
  }
  Pipe both{above_streams(OwnedFd(static_cast<int>(ends[0]))),
            above_streams(OwnedFd(static_cast<int>(ends[1])))};
  return both.from && both.to ? std::move(both) : Pipe();
}

/// Reads what is available; false at the end of the stream.
[[nodiscard]] inline bool read_some(int fd, std::string& to) {
  char room[16384];
  const ssize_t n = ::read(fd, room, sizeof room);
  if (n > 0) to.append(room, static_cast<std::size_t>(n));
  return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

/// Why `stream` can't be opened for the program's input or output: errno `code`.
[[nodiscard]] inline Failure unopened(const Stream& stream, int code, const char* attempted,
                                      bool output) {
  const bool names_file =
      stream.kind() == Stream::Kind::file || stream.kind() == Stream::Kind::append;
  Failure failure = failed_call(code, attempted, names_file ? stream.str() : std::string());
  const auto explain = [&failure](const char* cause, const char* remedy) {
    failure.cause = cause;
    failure.remedy = remedy;
  };
  if (stream.kind() == Stream::Kind::descriptor && code == EBADF)
    failure.cause = "no open descriptor has the number " + std::to_string(stream.fd());
  if (!names_file) return failure;
  if (*stream.path() == '\0')
    explain("the path is empty, or contains a NUL byte", "name a file");
  else if (code == ENOENT && output)
    explain("there is no such directory to make the file in", "make it first: mkdir -p");
  else if (code == ENOENT)
    explain("there is no such file on the host", "check the path");
  else if (code == EISDIR)
    explain("this is a directory", "name a file");
  else if (code == EACCES)
    explain(output ? "you may not write to this file, make it in its directory, or search a "
                     "directory on the way to it"
                   : "you may not read this file, or search a directory on the way to it",
            "check it with: namei -l PATH");
  else if (code == ETXTBSY)
    explain("this is the file of a program that is running", "name another file");
  return failure;
}

/// Opens `stream` as descriptor `place` of a program: 0 is read, 1 and 2 are written.
[[nodiscard]] inline Outcome<OpenStream> open_stream(const Stream& stream, int place) {
  constexpr const char* names[] = {"give the program its input", "take the program's output",
                                   "take the program's errors"};
  const bool output = place != 0;
  OpenStream opened;
  if (stream.kind() == (output ? Stream::Kind::text : Stream::Kind::append)) {
    Failure wrong = failed_call(EINVAL, names[place]);
    wrong.cause = output ? "a text is for input" : "appending is for output";
    wrong.remedy = output ? "give it a file, a pipe or a descriptor" : "read the file as a file";
    return wrong;
  }
  switch (stream.kind()) {
    case Stream::Kind::inherit:
      return opened;
    case Stream::Kind::null:
      opened.inside = open_path("/dev/null", kernel::o_rdwr);
      break;
    case Stream::Kind::descriptor:
      if (stream.fd() == place) return opened;
      opened.number = stream.fd();
      if (stream.fd() > 2 && ::fcntl(stream.fd(), F_GETFD) != -1) return opened;
      opened.inside = duplicate(stream.fd());
      break;
    case Stream::Kind::file:
      opened.inside = open_path(stream.path(), output ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY);
      break;
    case Stream::Kind::append:
      opened.inside = open_path(stream.path(), O_WRONLY | O_CREAT | O_APPEND);
      break;
    case Stream::Kind::text:
      opened.inside = memory_file_of(stream.str());
      break;
    case Stream::Kind::pipe: {
      Pipe both = make_pipe();
      opened.inside = std::move(output ? both.to : both.from);
      opened.outside = std::move(output ? both.from : both.to);
      break;
    }
  }
  opened.inside = above_streams(std::move(opened.inside));
  if (!opened.inside) return unopened(stream, errno, names[place], output);
  opened.number = opened.inside.get();
  return opened;
}

/// The three streams of a program or function, and the redirections that put them in place.
struct OpenStreams {
  OpenStream each[3]{};
  std::vector<step::Redirect> redirects{};
};

[[nodiscard]] inline Outcome<OpenStreams> open_streams(const Stream& in, const Stream& out,
                                                       const Stream& err) {
  OpenStreams streams;
  const Stream* const wanted[] = {&in, &out, &err};
  for (int place = 0; place < 3; ++place) {
    Outcome<OpenStream> stream = open_stream(*wanted[place], place);
    if (!stream) return stream.error();
    streams.each[place] = std::move(*stream);
    const int number = streams.each[place].number;
    if (number >= 0) streams.redirects.push_back({Fd{number}, Fd{place}});
  }
  return streams;
}

}  // namespace detail
}  // namespace ch
