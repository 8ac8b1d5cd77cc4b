// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. The whole of ch-tar2dir as functions: from the name of an archive to an image, or to
// what is in it. And the definitions of ch::unpack and ch::inspect (ch/image.hpp), which return a
// Failure instead of throwing.
// Source: docs/unpack.md.
#pragma once

#include "ch/image/member_lister.hpp"
#include "ch/image/unpack_declared.hpp"
#include "ch/image/unpack_with_owners.hpp"
#include "ch/image/work.hpp"

namespace ch::images {

namespace detail {

[[nodiscard]] inline std::uint64_t size_of(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode)
             ? static_cast<std::uint64_t>(status.st_size)
             : 0;
}

/// Opens the archive. Even if that fails, restores an image that a dead run has set aside.
inline Input open_or_tidy(const std::string& archive, const std::string& destination,
                          const UnpackOptions& options) try {
  return open_input(archive);
} catch (const io::Failed&) {
  try {
    struct stat status {};
    const std::string left = DestinationNames(destination).holder_path();
    if (::lstat(left.c_str(), &status) == 0) (void)AtomicDirectory(destination, options.replace);
  } catch (const std::exception&) {  // the first failure is the one to report
  }
  throw;
}

/// Refuses a destination of another user: root of a user namespace sees files of all mapped users
/// as its own.
inline void refuse_of_another(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0 && status.st_uid != ::geteuid() && ::geteuid() != 0)
    throw io::Failed(io::Reason::refused, path, "this exists and belongs to another user",
                     "choose another name, or remove what is there yourself");
}

/// Calls on_end when it is destroyed.
struct EndNotifier {
  const UnpackEvents& events;
  ~EndNotifier() {
    try {
      if (events.on_end) events.on_end();
    } catch (...) {  // the image is complete by then, or something else has failed
    }
  }
};

inline UnpackReport unpack_opened(Input& input, const std::string& destination,
                                  const UnpackOptions& options, const UsersOf& users) {
  const UnpackEvents& events = options.events;
  const OtherRuns other_runs{work_of(input, options), options.stop, events.on_wait};
  AtomicDirectory directory(destination, options.replace, other_runs, users);
  if (events.on_begin && !directory.made_by_another())
    events.on_begin(directory.before() == Before::image ? Makes::replacement : Makes::new_image);
  const EndNotifier told{events};
  const std::uint64_t total = size_of(input.stream.get());
  const auto show = [&](const InputWatch& watch) {
    if (events.on_progress) events.on_progress(watch.bytes_read, total);
  };
  return unpack(input, directory, options, show);
}

}  // namespace detail

/// Unpacks the archive of this name ("-": standard input) to `destination`. See ch::unpack, and
/// for what is thrown instead of returned, unpack.hpp.
inline UnpackReport unpack_archive(const std::string& archive, const std::string& destination,
                                   const UnpackOptions& options = {}) {
  Input input = detail::open_or_tidy(archive, destination, options);
  if (options.owners == Owners::mine)
    return detail::unpack_opened(input, destination, options, users_of);
  detail::refuse_of_another(destination);
  return detail::with_owners(input, options,
                             [&](const UnpackOptions& inside, const UsersOf& users) {
                               return detail::unpack_opened(input, destination, inside, users);
                             });
}

namespace detail {

/// Sets the locale that this thread had when the object was made, while a function of the caller
/// runs: the reader has set its own (BytesLocale).
class CallersLocale {
 public:
  template <class Function>
  void call(const Function& function) const {
    const Restored ours{::uselocale(locale_)};
    function();
  }

 private:
  struct Restored {
    locale_t locale;
    ~Restored() { ::uselocale(locale); }
  };
  locale_t locale_ = ::uselocale(locale_t{});
};

}  // namespace detail

/// Reads the archive of this name and tells of its members. See ch::inspect.
inline UnpackReport inspect_archive(const std::string& archive, UnpackOptions options,
                                    const std::function<void(const Member&)>& on_member) {
  const Input input = open_input(archive);
  const char* temporary = std::getenv("TMPDIR");
  if (temporary == nullptr || *temporary == '\0') temporary = "/tmp";
  const io::Descriptor place(::open(temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const int why = errno;
  if (!place)
    throw io::Failed(io::Reason::system, temporary,
                     "can't open the directory for temporary files: " + io::errno_text(why),
                     "set TMPDIR to a directory that you may write to", why);
  if (options.max_size == from_free_space) options.max_size = from_free_space - 1;    // nothing is
  if (options.max_files == from_free_space) options.max_files = from_free_space - 1;  // written
  InputWatch watch;
  watch.stop = options.stop;
  const detail::CallersLocale locale;
  MemberLister lister([&](const Member& m) {
    if (on_member) locale.call([&] { on_member(m); });
  });
  return Extraction(input, place.get(), options, ModeRules{0777}, watch).inspect(lister);
}

}  // namespace ch::images

namespace ch {
namespace detail {

/// What `work`, which throws, returns; or why it failed to do `attempted` with the archive.
template <class Work>
[[nodiscard]] Outcome<UnpackReport> outcome_with(const std::string& archive,
                                                 const std::string& attempted,
                                                 const std::atomic<bool>* stop, Work&& work) {
  const std::string name = archive == "-" ? "standard input" : archive;
  const auto failure = [&](io::Failed e) {
    e.in_file(name);  // so that nothing in the cause names it again
    Failure told = e.failure(attempted, name);
    if (!name.empty()) told.cause.erase(0, name.size() + 2);
    return told;
  };
  try {
    return work();
  } catch (const io::Failed& e) {
    // A blocking call, such as opening a FIFO, fails with EINTR when a signal arrives.
    const bool stopped = e.code() == EINTR && stop != nullptr && stop->load();
    return failure(stopped ? io::interrupted() : e);
  } catch (const std::bad_alloc&) {
    return failure(io::out_of_memory());
  } catch (const std::exception& e) {
    return failure(io::Failed(io::Reason::system, {}, e.what()));
  }
}

}  // namespace detail

CHARLIE_IMAGE_INLINE Outcome<UnpackReport> unpack(const std::filesystem::path& archive,
                                                  const std::filesystem::path& directory,
                                                  const UnpackOptions& options) {
  if ((archive.native() + directory.native()).find('\0') != std::string::npos)
    return detail::embedded_nul("unpack");
  return detail::outcome_with(archive.native(), "unpack", options.stop, [&] {
    return images::unpack_archive(archive.native(), directory.native(), options);
  });
}

CHARLIE_IMAGE_INLINE Outcome<UnpackReport> inspect(
    const std::filesystem::path& archive, const UnpackOptions& options,
    const std::function<void(const Member&)>& on_member) {
  if (archive.native().find('\0') != std::string::npos) return detail::embedded_nul("inspect");
  return detail::outcome_with(archive.native(), "inspect", options.stop, [&] {
    return images::inspect_archive(archive.native(), options, on_member);
  });
}

}  // namespace ch
