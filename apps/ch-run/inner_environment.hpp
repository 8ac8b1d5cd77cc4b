// SPDX-License-Identifier: Apache-2.0
//
// Floor 7. The environment of the command: the caller's, then what must differ inside,
// then what the image asks for, then what the user asks for, in that order; at the end
// PATH has /bin and CH_RUNNING is set, whatever came before.
#pragma once

#include "apps/ch-run/image_metadata.hpp"
#include "apps/ch-run/options.hpp"
#include "ch/environment_edits.hpp"

namespace ch_run {

/// Images with a merged /usr are not the only ones: PATH gets /bin at its end if it is
/// not there. Without any PATH a usual one.
inline void ensure_bin(ch::Environment& environment, ch::Arena& arena) noexcept {
  const char* path = environment.get("PATH");
  if (path == nullptr) {
    environment.set("PATH", "/usr/local/bin:/usr/bin:/bin");
    return;
  }
  for (std::string_view rest(path);;) {
    const auto colon = rest.find(':');
    if (ch::head(rest, colon) == "/bin") return;
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  if (const char* longer = arena.join(path, ":/bin")) environment.set("PATH", longer);
}

/// One option as an edit; reads its file, if it names one.
template <ch::kernel::Kernel K>
ch::Result<ch::EnvironmentEdit> edit_of(K& k, const EnvironmentOption& option,
                                        const Options& options, const ImageMetadata& metadata,
                                        ch::Arena& arena) noexcept {
  using Kind = EnvironmentOption::Kind;
  ch::EnvironmentEdit edit;
  edit.expansion = options.expand && !option.literal ? ch::Expansion::on : ch::Expansion::off;
  edit.kind = option.separator == EnvironmentOption::Separator::nul ? ch::EditKind::set_records
                                                                    : ch::EditKind::set_lines;
  if (option.kind == Kind::assignment) {
    edit.kind = ch::EditKind::set_assignment;
    edit.text = option.text;
  } else if (option.kind == Kind::unset) {
    edit.kind = ch::EditKind::unset_glob;
    edit.text = option.text;
  } else if (option.kind == Kind::image_file) {
    edit.text = metadata.environment;
    edit.file = "/ch/environment";
  } else {
    const auto text = read_file(k, ch::Fd::cwd, option.text.c_str(), arena);
    if (!text) return ch::failure(text.error());
    edit.text = *text;
    edit.file = option.text;
  }
  return edit;
}

/// Edits `environment`. False: `message` says what is wrong.
template <ch::kernel::Kernel K>
bool prepare_environment(K& k, const Options& options, const ImageMetadata& metadata,
                         ch::ZString home, ch::Environment& environment, ch::Arena& arena,
                         ch::TextWriter& message) noexcept {
  environment.set("HOME", home);
  environment.unset("TMPDIR");  // names a directory of the host's
  if (options.image_environment && !metadata.environment.empty()) {
    const auto problem = ch::apply(
        environment, {ch::EditKind::set_lines, metadata.environment, "/ch/environment",
                      ch::Expansion::off});
    if (!problem.ok()) {
      message << problem;
      return false;
    }
  }
  for (const EnvironmentOption& option : options.environment) {
    const auto edit = edit_of(k, option, options, metadata, arena);
    if (!edit) {
      message << "can't read " << edit.error().path.view() << ": " << edit.error().code;
      return false;
    }
    if (const auto problem = ch::apply(environment, *edit); !problem.ok()) {
      message << problem;
      return false;
    }
  }
  ensure_bin(environment, arena);
  environment.set("CH_RUNNING", "Weird Al Yankovic");
  return true;
}

}  // namespace ch_run
