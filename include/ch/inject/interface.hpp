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

/// Files of the host that are to be in an image, by whatever names them. A path converts to one.
class FileSource {
 public:
  enum class Kind : std::uint8_t { path, list, command, device, nvidia, cray_cxi, cray_gni };

  FileSource(const char* path) : value_(path == nullptr ? "" : path) {}     // NOLINT
  FileSource(std::string path) : value_(std::move(path)) {}                 // NOLINT
  FileSource(const std::filesystem::path& path) : value_(path.native()) {}  // NOLINT
  /// A file that lists paths, one a line, or with a NUL after each.
  [[nodiscard]] static FileSource list(std::string file) { return {Kind::list, std::move(file)}; }
  /// The output of a command that lists them so: words with blanks between; no shell.
  [[nodiscard]] static FileSource command(std::string words) {
    return {Kind::command, std::move(words)};
  }
  /// What the host's Container Device Interface files say that a device needs:
  /// "nvidia.com/gpu=0", "nvidia.com/gpu" for all of that kind, "" for all that there are.
  [[nodiscard]] static FileSource device(std::string name) {
    return {Kind::device, std::move(name)};
  }
  /// What NVIDIA's nvidia-container-cli lists.
  [[nodiscard]] static FileSource nvidia() { return {Kind::nvidia, {}}; }
  /// The library that CH_FROMHOST_OFI_CXI or CH_FROMHOST_OFI_GNI names, which a Cray's
  /// administrator sets.
  [[nodiscard]] static FileSource cray_cxi() { return {Kind::cray_cxi, {}}; }
  [[nodiscard]] static FileSource cray_gni() { return {Kind::cray_gni, {}}; }

  /// The same files, in this directory of the image instead of where their kind belongs.
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

/// Is the list by which the image's loader finds libraries brought up to date?
enum class Ldconfig : std::uint8_t { run, leave_out };
/// Is the plan carried out?
enum class Carry : std::uint8_t { out, nothing };

/// What is done to an image, and what a person should know of it. Texts are fit for a terminal.
struct InjectReport {
  bool changed = false;            // false: the image was as it should be
  bool has_run_ldconfig = false;   // or would
  bool recovered = false;          // an earlier call, which was killed, has been undone first
  bool planned = false;            // the plan is complete
  std::vector<std::string> plan;   // a line for each thing, in the order of doing
  std::vector<std::string> notes;  // how it came to that
  std::vector<std::string> warnings;
};

struct InjectOptions {
  Ldconfig ldconfig = Ldconfig::run;
  Carry carry = Carry::out;
  std::vector<std::string> device_directories{};  // of descriptions; empty: the usual ones
  const std::atomic<bool>* stop = nullptr;        // becomes true: all is undone
  /// Called before planning, which may fail, and again when all is planned; nothing of it is
  /// carried out yet.
  std::function<void(const InjectReport&)> on_progress{};
};

/// Something that was injected into an image.
struct InjectedFile {
  std::string path;    // in the image
  std::string source;  // on the host; empty: not a copy
  std::string target;  // of a link; empty: not a link
  std::string reason;
  bool replaces = false;  // a file of the image, which is kept
  bool changed = false;   // since then, by somebody
};

/// Copies `files` of the host into the image directory `image`, each to where its kind belongs:
/// programs, shared libraries with the links that their loader wants, libfabric and its
/// providers. Runs the image's own ldconfig, in a container, if there are libraries.
///
/// All or nothing: where it fails, the image is as it was. Refused are files that the image's
/// programs could not run with. One call at a time changes an image; others wait 5 seconds.
/// Starts threads and processes, and leaves none; a process that is killed leaves a journal, by
/// which the next call undoes its work.
///
///     const auto done = ch::inject("/var/tmp/image", {"/usr/bin/strace"});
///     if (!done) std::cerr << done.error() << '\n';
[[nodiscard]] CHARLIE_INJECT_INLINE Outcome<InjectReport> inject(
    const std::filesystem::path& image, const std::vector<FileSource>& files,
    const InjectOptions& options = {});

/// Takes out of `image` all that was ever injected; what it replaced comes back. A file that
/// somebody has changed since stays, with a warning. All or nothing, like inject.
[[nodiscard]] CHARLIE_INJECT_INLINE Outcome<InjectReport> take_out(
    const std::filesystem::path& image, const InjectOptions& options = {});

/// What was injected into `image`.
[[nodiscard]] CHARLIE_INJECT_INLINE Outcome<std::vector<InjectedFile>> injected(
    const std::filesystem::path& image);

}  // namespace ch
