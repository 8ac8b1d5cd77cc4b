// SPDX-License-Identifier: Apache-2.0
//
// Floor 5. The environment of a program in an image that feels like the host: the caller's, then
// what must differ inside, then the image's settings, then the caller's edits, in that order.
// Finally /bin is added to PATH if it is missing, and CH_RUNNING is set.
#pragma once

#include "ch/environment_edits.hpp"
#include "ch/image_metadata.hpp"

namespace ch {

/// An edit by the caller; if `of_image`, its text is the image's /ch/environment.
struct InnerEdit {
  EnvironmentEdit edit{};
  bool of_image = false;
};

namespace detail {

/// Not every image has a merged /usr, so /bin is appended to PATH if it is not in it. Without a
/// PATH, sets a default one.
inline void ensure_bin(Environment& environment) noexcept {
  const char* path = environment.get("PATH");
  if (path == nullptr) {
    environment.set("PATH", "/usr/local/bin:/usr/bin:/bin");
    return;
  }
  for (std::string_view rest(path);;) {
    const auto colon = rest.find(':');
    if (head(rest, colon) == "/bin") return;
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  if (const char* longer = environment.arena().join(path, ":/bin")) environment.set("PATH", longer);
}

}  // namespace detail

/// Edits `environment` for a program whose home is `home`. `of_image`: apply the image's
/// environment before `edits`. Allocates in the environment's arena; makes no system call. Problems
/// are those of `apply`; the edits before one have taken effect.
[[nodiscard]] inline EditProblem prepare_environment(Environment& environment,
                                                     const ImageMetadata& metadata, ZString home,
                                                     bool of_image,
                                                     std::span<const InnerEdit> edits) noexcept {
  constexpr const char* file = "/ch/environment";
  environment.set("HOME", home);
  environment.unset("TMPDIR");  // names a directory of the host
  if (of_image && !metadata.environment.empty()) {
    EditProblem problem =
        apply(environment, {EditKind::set_lines, metadata.environment, file, Expansion::off});
    problem.of_image = true;
    if (!problem.ok()) return problem;
  }
  for (const InnerEdit& inner : edits) {
    EnvironmentEdit edit = inner.edit;
    if (inner.of_image) {
      edit.text = metadata.environment;
      edit.file = file;
    }
    EditProblem problem = apply(environment, edit);
    problem.of_image = inner.of_image;
    if (!problem.ok()) return problem;
  }
  detail::ensure_bin(environment);
  environment.set("CH_RUNNING", "Weird Al Yankovic");
  return {};
}

}  // namespace ch
