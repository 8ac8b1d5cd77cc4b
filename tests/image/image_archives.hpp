// SPDX-License-Identifier: Apache-2.0
//
// Test support: docker archives (old and new layout) and OCI layouts, made from layers
// in memory, with every digest in place, and hooks to make one wrong.
#pragma once

#include <nlohmann/json.hpp>

#include "tests/image/tar_builder.hpp"

namespace test {

using Json = nlohmann::json;

inline std::string sha256(const std::string& text) {
  ch::images::Sha256 sha;
  sha.add(text);
  return sha.finish().hex();
}

/// An image's config for these uncompressed layers.
inline Json config_for(const std::vector<std::string>& layers) {
  Json config = {{"architecture", ch::images::machine_architecture()},
                 {"os", "linux"},
                 {"config",
                  {{"Env", {"PATH=/bin:/usr/bin", "QUOTED='x'", "EMPTY="}},
                   {"Cmd", {"/bin/sh", "-l"}},
                   {"WorkingDir", "/srv"}}},
                 {"rootfs", {{"type", "layers"}, {"diff_ids", Json::array()}}}};
  for (const std::string& layer : layers)
    config["rootfs"]["diff_ids"].push_back("sha256:" + sha256(layer));
  return config;
}

enum class Layout { docker_old, docker_new, oci };

struct ImageRecipe {
  std::vector<std::string> layers;  // tars
  std::string filter = "none";      // of the layers
  Json config;                      // null: config_for(layers)
  std::string name = "example.org/app:1";
};

/// Adds a blob under its digest; returns its descriptor.
inline Json add_blob(std::map<std::string, std::string>& parts, const std::string& content,
                     const std::string& type) {
  const std::string hex = sha256(content);
  parts["blobs/sha256/" + hex] = content;
  return {{"mediaType", type}, {"digest", "sha256:" + hex}, {"size", content.size()}};
}

/// The members of an image archive, name to content.
inline std::map<std::string, std::string> image_parts(const ImageRecipe& recipe, Layout layout) {
  std::map<std::string, std::string> parts;
  const Json config = recipe.config.is_null() ? config_for(recipe.layers) : recipe.config;
  const std::string config_text = config.dump();
  if (layout == Layout::oci) {
    Json manifest = {{"schemaVersion", 2},
                     {"mediaType", "application/vnd.oci.image.manifest.v1+json"},
                     {"layers", Json::array()}};
    manifest["config"] = add_blob(parts, config_text, "application/vnd.oci.image.config.v1+json");
    for (const std::string& layer : recipe.layers)
      manifest["layers"].push_back(add_blob(parts, compress(layer, recipe.filter),
                                            "application/vnd.oci.image.layer.v1.tar"));
    Json entry = add_blob(parts, manifest.dump(), "application/vnd.oci.image.manifest.v1+json");
    entry["annotations"] = {{"org.opencontainers.image.ref.name", recipe.name}};
    parts["index.json"] = Json({{"schemaVersion", 2}, {"manifests", {entry}}}).dump();
    parts["oci-layout"] = R"({"imageLayoutVersion":"1.0.0"})";
    return parts;
  }
  Json entry = {{"RepoTags", {recipe.name}}, {"Layers", Json::array()}};
  const bool old = layout == Layout::docker_old;
  const std::string config_name =
      old ? sha256(config_text) + ".json" : "blobs/sha256/" + sha256(config_text);
  parts[config_name] = config_text;
  entry["Config"] = config_name;
  for (std::size_t i = 0; i < recipe.layers.size(); ++i) {
    const std::string blob = compress(recipe.layers[i], recipe.filter);
    const std::string id = sha256("id" + std::to_string(i) + blob);
    const std::string name = old ? id + "/layer.tar" : "blobs/sha256/" + sha256(blob);
    parts[name] = blob;
    entry["Layers"].push_back(name);
  }
  parts["manifest.json"] = Json::array({entry}).dump();
  return parts;
}

inline std::string archive_of(const std::map<std::string, std::string>& parts) {
  Tar tar;
  for (const auto& [name, content] : parts) tar.file(name, content);
  return tar.bytes();
}
inline std::string image_archive(const ImageRecipe& recipe, Layout layout) {
  return archive_of(image_parts(recipe, layout));
}

}  // namespace test
