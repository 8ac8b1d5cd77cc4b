// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. What ch/image.hpp declares: ch::unpack and ch::inspect, and what they take and return,
// which needs the standard library only. The definitions are in unpack_archive.hpp.
// Source: docs/unpack.md.
#pragma once

#include <filesystem>
#include <functional>

#include "ch/hosted/failure.hpp"
#include "ch/image/member.hpp"
#include "ch/image/options.hpp"

/// With CHARLIE_IMAGE_COMPILED a compiled library has the definitions.
#if defined(CHARLIE_IMAGE_COMPILED)
#define CHARLIE_IMAGE_INLINE [[gnu::visibility("default")]]
#else
#define CHARLIE_IMAGE_INLINE inline
#endif

namespace ch {

using images::Containment;
using images::ImageUser;
using images::Makes;
using images::Member;
using images::MemberKind;
using images::Owners;
using images::Platform;
using images::Replace;
using images::SpecialBits;
using images::Sync;
using images::UnpackEvents;
using images::UnpackOptions;
using images::UnpackReport;
using images::Xattrs;

/// Unpacks `archive` to `directory`: a tar of a root file system, a file of "docker save", or an
/// OCI layout (archive or directory), plain or compressed; "-" is standard input.
///
/// Effect: `directory` is the complete image. An image that was there is gone or, if containers use
/// it, kept under another name, which the report has. After a failure nothing has changed. The
/// archive is read in a container that holds nothing but the new image, as options.containment
/// says: not if this process has other threads, since fork would not be safe. Starts threads or
/// processes, and leaves none running. Allocates. Blocks until it is done or options.stop is set.
///
/// Errors: a Failure with cause and remedy, which names the member of the archive at fault. EINTR
/// if options.stop was set.
///
///     const auto made = ch::unpack("app.tar.gz", "/tmp/app");
///     if (!made) std::cerr << made.error() << '\n';
[[nodiscard]] CHARLIE_IMAGE_INLINE Outcome<UnpackReport> unpack(
    const std::filesystem::path& archive, const std::filesystem::path& directory,
    const UnpackOptions& options = {});

/// Reads all of `archive`, with every check that unpacking makes, and writes nothing, except an
/// unnamed copy in $TMPDIR of an image archive that is compressed or comes from a pipe.
/// `on_member`, if given, is called for each member in order, layer by layer; what it throws ends
/// the call.
///
/// Of `options`, those that choose an image, the limits (by default none) and `stop` apply. Starts
/// threads, and leaves none running. Allocates.
///
/// Errors: as of unpack.
///
///     const auto found = ch::inspect("app.tar", {}, [](const ch::Member& m) {
///       std::cout << m.path << '\n';
///     });
[[nodiscard]] CHARLIE_IMAGE_INLINE Outcome<UnpackReport> inspect(
    const std::filesystem::path& archive, const UnpackOptions& options = {},
    const std::function<void(const Member&)>& on_member = {});

}  // namespace ch
