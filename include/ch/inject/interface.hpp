// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. What ch/inject.hpp offers: types and declarations, which need no library but the
// standard one. The definitions are in inject/front.hpp: inline, or, where
// CHARLIE_INJECT_COMPILED is defined, in a library that a program links.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ch/hosted/failure.hpp"

#if defined(CHARLIE_INJECT_COMPILED)
#define CHARLIE_INJECT_INLINE [[gnu::visibility("default")]]
#else
#define CHARLIE_INJECT_INLINE inline
#endif

namespace ch {

/// Specifies files of the host to inject into an image. A path converts to one.
class FileSource {
 public:
  enum class Kind : std::uint8_t { path, list, command, device, nvidia, cray_cxi, cray_gni };

  FileSource(const char* path) : value_(path == nullptr ? "" : path) {}     // NOLINT
  FileSource(std::string path) : value_(std::move(path)) {}                 // NOLINT
  FileSource(const std::filesystem::path& path) : value_(path.native()) {}  // NOLINT
  /// A file that lists paths, one per line, or with a NUL after each.
  [[nodiscard]] static FileSource list(std::string file) { return {Kind::list, std::move(file)}; }
  /// The output of a command that lists paths in the same way. The command is split at blanks;
  /// there is no shell.
  [[nodiscard]] static FileSource command(std::string words) {
    return {Kind::command, std::move(words)};
  }
  /// What the host's Container Device Interface files say that a device needs:
  /// "nvidia.com/gpu=0", "nvidia.com/gpu" for all of that kind, "" for all that are described.
  [[nodiscard]] static FileSource device(std::string name) {
    return {Kind::device, std::move(name)};
  }
  /// What NVIDIA's nvidia-container-cli lists.
  [[nodiscard]] static FileSource nvidia() { return {Kind::nvidia, {}}; }
  /// The library that CH_FROMHOST_OFI_CXI or CH_FROMHOST_OFI_GNI names, as set by the administrator
  /// of a Cray.
  [[nodiscard]] static FileSource cray_cxi() { return {Kind::cray_cxi, {}}; }
  [[nodiscard]] static FileSource cray_gni() { return {Kind::cray_gni, {}}; }

  /// The same files, but in this directory of the image instead of where their kind belongs.
  [[nodiscard]] FileSource to(std::string directory) const {
    FileSource there = *this;
    there.destination_ = std::move(directory);
    return there;
  }

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] const std::string& value() const noexcept { return value_; }
  [[nodiscard]] const std::optional<std::string>& destination() const noexcept {
    return destination_;
  }

 private:
  FileSource(Kind kind, std::string value) : kind_(kind), value_(std::move(value)) {}

  Kind kind_ = Kind::path;
  std::string value_;
  std::optional<std::string> destination_{};
};

/// Which files bring the host's libraries that they need? Only libraries that are missing in the
/// image are brought, or that lack a symbol version there; never parts of the C library.
enum class WithLibraries : std::uint8_t { of_programs, of_all, none };
/// Is the image's ldconfig run, to update the cache of its loader?
enum class Ldconfig : std::uint8_t { run, leave_out };
/// Is the plan carried out?
enum class Carry : std::uint8_t { out, nothing };

/// What was done to an image, or would be, and what a person should know about it. Texts are safe
/// to print.
struct InjectReport {
  bool changed = false;           // false: nothing was to be done, or only planned
  bool has_run_ldconfig = false;  // or would run it
  bool recovered = false;         // the work of an earlier call, which was killed, was undone first
  bool planned = false;           // the plan is complete
  std::vector<std::string> plan;  // a line for each change, in order
  std::vector<std::string> notes;  // reasons for decisions in it
  std::vector<std::string> warnings;
};

struct InjectOptions {
  WithLibraries with_libraries = WithLibraries::of_programs;
  Ldconfig ldconfig = Ldconfig::run;
  Carry carry = Carry::out;
  std::vector<std::string> device_directories{};  // with CDI files; empty: the default ones
  const std::atomic<bool>* stop = nullptr;        // when it becomes true, everything is undone
  /// Called whenever there is more to report: before planning, which may fail; when an earlier
  /// call has been undone; when the plan is complete but not yet carried out.
  std::function<void(const InjectReport&)> on_progress{};
};

/// Something that was injected into an image.
struct InjectedFile {
  std::string path;    // in the image
  std::string source;  // on the host; empty: not a copy
  std::string target;  // of a link; empty: not a link
  std::string reason;
  bool replaces = false;  // a file of the image, whose original is kept
  bool changed = false;   // since it was injected
};

/// Copies `files` of the host into the image directory `image`, each to where its kind belongs:
/// programs with the libraries that the image lacks, shared libraries with the links that the
/// loader needs, libfabric and its providers. If there are libraries, runs the image's own ldconfig
/// in a container.
///
/// All or nothing: if it fails, the image is as it was. Files that would break the image's programs
/// are refused. Only one call at a time changes an image; others wait up to 5 seconds. Starts
/// threads and processes, and leaves none running. If this process is killed, it leaves a journal
/// from which the next call undoes its work.
///
///     const auto done = ch::inject("/var/tmp/image", {"/usr/bin/strace"});
///     if (!done) std::cerr << done.error() << '\n';
[[nodiscard]] CHARLIE_INJECT_INLINE Outcome<InjectReport> inject(
    const std::filesystem::path& image, const std::vector<FileSource>& files,
    const InjectOptions& options = {});

/// Takes everything that was injected out of `image`; what it replaced comes back. A file that was
/// changed since stays, with a warning. All or nothing, like inject.
[[nodiscard]] CHARLIE_INJECT_INLINE Outcome<InjectReport> take_out(
    const std::filesystem::path& image, const InjectOptions& options = {});

/// Lists what was injected into `image`.
[[nodiscard]] CHARLIE_INJECT_INLINE Outcome<std::vector<InjectedFile>> injected(
    const std::filesystem::path& image);

/// What an image has a directory for.
enum class InjectKind : std::uint8_t { libraries, libfabric };

/// The path in `image` of the directory that inject copies shared libraries to, or of the one that
/// libfabric is in, whose providers go to libfabric/ below it.
[[nodiscard]] CHARLIE_INJECT_INLINE Outcome<std::string> injection_directory(
    const std::filesystem::path& image, InjectKind kind);

}  // namespace ch
