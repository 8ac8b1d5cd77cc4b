// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Reads what "docker save" (and podman, skopeo, buildah) write: manifest.json
// lists images with the names of a configuration and of layers, lowest first. Old ones
// keep a layer in ID/layer.tar, new ones in blobs/sha256/HEX.
// Source: Docker Image Specification v1.2, "Combined Image JSON + Filesystem Changeset".
#pragma once

#include "ch/image/image_manifest.hpp"

namespace ch::images {

/// The digest that a name such as "HEX.json" or "blobs/sha256/HEX" states.
[[nodiscard]] inline std::optional<Digest> digest_in_name(std::string_view name) {
  const std::string_view base = io::base_of(name);
  if (!is_sha256_hex(base.substr(0, 64))) return std::nullopt;
  if (base.size() == 64 ? name.starts_with("blobs/sha256/") : base.substr(64) == ".json")
    return parse_digest("sha256:" + std::string(base.substr(0, 64)));
  return std::nullopt;
}

/// The image called `asked` (or the only one) of a docker archive.
inline ImageManifest read_docker_archive(const Blobs& blobs, const std::string& asked,
                                         InputWatch& watch) {
  constexpr std::string_view document = "manifest.json";
  const io::Document parsed = parse_json(
      read_document(blobs.at(std::string(document)), document, std::nullopt, watch), document);
  const io::Json& list = parsed;
  if (!list.is_array() || list.empty()) throw_malformed(document, "a list of images");

  const io::Json* chosen = nullptr;
  ImageManifest image;
  std::vector<std::string> names;
  for (const io::Json& candidate : list) {
    std::vector<std::string> tags;
    if (candidate.is_object())
      if (const auto found = candidate.find("RepoTags"); found != candidate.end())
        for (const io::Json& tag : *found)
          if (tag.is_string()) tags.push_back(tag.get<std::string>());
    if (tags.empty()) tags.emplace_back();
    for (const std::string& tag : tags)
      if (chosen == nullptr && (asked.empty() || names_match(tag, asked))) {
        chosen = &candidate;
        image.name = tag;
      }
    names.insert(names.end(), tags.begin(), tags.end());
  }
  if (chosen == nullptr || (asked.empty() && list.size() > 1)) throw_which_image(asked, names);

  const std::string config = normal_member_path(string_of(*chosen, "Config", document));
  image.config_text = read_document(blobs.at(config), config, digest_in_name(config), watch);
  image.config = parse_json(image.config_text, config);
  const std::vector<Digest> ids = diff_ids(image.config, config);
  const io::Json& layers = array_of(*chosen, "Layers", document);
  if (layers.size() != ids.size())
    throw io::Failed(io::Reason::damaged, std::string(document),
                     "it lists " + std::to_string(layers.size()) +
                         " layers, but the configuration " + std::to_string(ids.size()));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!layers[i].is_string()) throw_malformed(document, "names of layers");
    const std::string name = normal_member_path(layers[i].get_ref<const std::string&>());
    image.layers.push_back({blobs.at(name), name, digest_in_name(name), ids[i]});
  }
  return image;
}

}  // namespace ch::images
