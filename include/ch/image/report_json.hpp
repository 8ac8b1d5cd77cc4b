// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Reports and errors as JSON: for --json, and to pass them from the extracting process to
// its parent. The extracting process has read an untrusted archive, so its data are checked.
#pragma once

#include "ch/image/options.hpp"
#include "ch/io/failed.hpp"
#include "ch/io/json.hpp"

namespace ch::images {

inline nlohmann::json to_json(const UnpackReport& r) {
  return {{"format", r.format},
          {"compression", r.compression},
          {"image", r.image_name},
          {"input_bytes", r.input_bytes},
          {"content_bytes", r.content_bytes},
          {"layers", r.layers},
          {"directories", r.directories},
          {"files", r.files},
          {"symlinks", r.links},
          {"hard_links", r.hard_links},
          {"fifos", r.fifos},
          {"whiteouts", r.whiteouts},
          {"devices_skipped", r.devices_skipped},
          {"absolute_names", r.absolute_names},
          {"stripped_directory", r.stripped_directory},
          {"notes", r.notes},
          {"made_by_another", r.made_by_another}};
}

inline UnpackReport report_from_json(const nlohmann::json& j) {
  UnpackReport r;
  r.format = j.at("format");
  r.compression = j.at("compression");
  r.image_name = j.at("image");
  r.input_bytes = j.at("input_bytes");
  r.content_bytes = j.at("content_bytes");
  r.layers = j.at("layers");
  r.directories = j.at("directories");
  r.files = j.at("files");
  r.links = j.at("symlinks");
  r.hard_links = j.at("hard_links");
  r.fifos = j.at("fifos");
  r.whiteouts = j.at("whiteouts");
  r.devices_skipped = j.at("devices_skipped");
  r.absolute_names = j.at("absolute_names");
  r.stripped_directory = j.at("stripped_directory");
  r.notes = j.at("notes").get<std::vector<std::string>>();
  r.made_by_another = j.at("made_by_another");
  return r;
}

inline nlohmann::json to_json(const io::Failed& e) {
  return {{"kind", static_cast<int>(e.reason())},
          {"path", e.path()},
          {"cause", e.cause()},
          {"remedy", e.remedy()},
          {"remedy_kind", static_cast<int>(e.kind())},
          {"code", e.code()},
          {"member", e.member()}};
}

inline io::Failed error_from_json(const nlohmann::json& j) {
  auto error = io::Failed(static_cast<io::Reason>(j.at("kind").get<int>()), j.at("path"),
                          j.at("cause"), j.at("remedy"), j.at("code"))
                   .with_kind(static_cast<Remedy>(j.at("remedy_kind").get<int>()));
  error.in_member(j.at("member").get<std::string>());
  return error;
}

}  // namespace ch::images
