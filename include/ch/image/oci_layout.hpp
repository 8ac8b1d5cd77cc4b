// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. Reads an OCI image layout: index.json refers by digest, perhaps through further indexes
// (one per platform), to a manifest, and that to a configuration and layers. Every document and
// layer is checked against the size and digest in the reference to it.
// Source: OCI image specification, image-layout.md, image-index.md, manifest.md.
#pragma once

#include <sys/utsname.h>

#include "ch/image/image_manifest.hpp"

namespace ch::images {

/// This machine's architecture as Go, and so every image, calls it.
[[nodiscard]] inline std::string machine_architecture() {
  utsname name{};
  ::uname(&name);
  const std::string_view machine = name.machine;
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  if (machine == "i686" || machine == "i386") return "386";
  if (machine.starts_with("armv")) return "arm";
  return std::string(machine);
}

class OciLayout {
 public:
  OciLayout(const Blobs& blobs, const UnpackOptions& options, InputWatch& watch)
      : blobs_(blobs), options_(options), watch_(watch), wanted_(options.platform) {
    if (wanted_.architecture.empty()) wanted_.architecture = machine_architecture();
  }

  /// The image asked for, or the only one that suits the platform.
  ImageManifest read() {
    check_version();
    const std::string name = "index.json";
    collect(parse_json(read_document(blobs_.at(name), name, std::nullopt, watch_), name), name, {},
            0);
    std::vector<const Found*> named, suited;
    std::vector<std::string> names;
    for (const Found& found : found_) {
      if (std::find(names.begin(), names.end(), found.name) == names.end())
        names.push_back(found.name);
      if (!options_.image_name.empty() && !names_match(found.name, options_.image_name)) continue;
      named.push_back(&found);
      if (suits(found)) suited.push_back(&found);
    }
    if (named.empty()) throw_which_image(options_.image_name, names);
    if (suited.empty()) throw_platforms(named);
    for (const Found* found : suited)
      if (found->digest != suited.front()->digest && options_.image_name.empty() &&
          found->name != suited.front()->name)
        throw_which_image({}, names);
    return manifest(*suited.front());
  }

 private:
  /// Some tools omit the file that states the version; then version 1 is assumed.
  void check_version() {
    const std::string name = "oci-layout";
    const FileRange* file = blobs_.find(name);
    if (file == nullptr) return;
    const io::Document layout = parse_json(read_document(*file, name, std::nullopt, watch_), name);
    if (!string_of(layout, "imageLayoutVersion", name).starts_with("1."))
      throw io::Failed(io::Reason::unsupported, name, "the version of the layout is not 1");
  }
  struct Found {
    Digest digest;
    std::uint64_t size;
    std::string name;
    std::string os, architecture, variant;  // empty: not said
  };
  static constexpr int max_depth = 8;
  static constexpr std::size_t max_manifests = 10000;

  static std::string media_type(const io::Json& j) { return optional_string(j, "mediaType"); }

  std::string fetch(const Digest& digest, std::uint64_t size) {
    return read_document(sized(digest, size), digest.text(), digest, watch_);
  }
  const FileRange& sized(const Digest& digest, std::uint64_t size) {
    const FileRange& blob = blobs_.at("blobs/sha256/" + digest.hex());
    if (blob.size != size)
      throw io::Failed(io::Reason::damaged, digest.text(),
                       "this has " + std::to_string(blob.size) + " bytes, but should have " +
                           std::to_string(size));
    return blob;
  }
  static std::pair<Digest, std::uint64_t> reference(const io::Json& descriptor,
                                                    std::string_view document) {
    const io::Json& size = member_of(
        descriptor, "size", [](const io::Json& j) { return j.is_number_unsigned(); }, document);
    return {parse_digest(string_of(descriptor, "digest", document)), size.get<std::uint64_t>()};
  }

  /// Gathers all manifests below an index. The name of an index applies to everything in it.
  void collect(const io::Json& index, const std::string& document, const std::string& name,
               int depth) {
    if (depth > max_depth || found_.size() > max_manifests)
      throw io::Failed(io::Reason::hostile, document, "indexes are nested too deeply");
    if (index.is_object() && index.contains("layers"))
      throw io::Failed(io::Reason::hostile, document, "this is both an index and a manifest");
    for (const io::Json& entry : array_of(index, "manifests", document)) {
      const auto [digest, size] = reference(entry, document);
      std::string own = name;
      if (const auto notes = entry.find("annotations"); notes != entry.end()) {
        const std::string full = optional_string(*notes, "io.containerd.image.name");
        const std::string ref = optional_string(*notes, "org.opencontainers.image.ref.name");
        if (!full.empty() || !ref.empty()) own = full.empty() ? ref : full;
        if (!optional_string(*notes, "vnd.docker.reference.type").empty()) continue;  // attestation
      }
      const std::string type = media_type(entry);
      if (type == "application/vnd.oci.image.index.v1+json" ||
          type == "application/vnd.docker.distribution.manifest.list.v2+json") {
        collect(parse_json(fetch(digest, size), digest.text()), digest.text(), own, depth + 1);
      } else if (type == "application/vnd.oci.image.manifest.v1+json" ||
                 type == "application/vnd.docker.distribution.manifest.v2+json") {
        const auto p = entry.find("platform");
        const io::Json none;
        const io::Json& platform = p != entry.end() ? *p : none;
        found_.push_back({digest, size, own, optional_string(platform, "os"),
                          optional_string(platform, "architecture"),
                          optional_string(platform, "variant")});
      }  // other kinds (signatures, ...) are not images
    }
  }

  [[nodiscard]] bool suits(const Found& f) const {
    const auto fits = [](const std::string& has, const std::string& wants) {
      return has.empty() || wants.empty() || has == wants;
    };
    return fits(f.os, wanted_.os) && fits(f.architecture, wanted_.architecture) &&
           fits(f.variant, wanted_.variant);
  }
  [[noreturn]] void throw_platforms(const std::vector<const Found*>& named) const {
    std::string list;
    for (const Found* f : named) {
      if (!list.empty()) list += ", ";
      list += printable(f->os) + '/' + printable(f->architecture);
      if (!f->variant.empty()) (list += '/') += printable(f->variant);
    }
    throw io::Failed(
        io::Reason::unsupported, {},
        "there is no image for " + wanted_.os + "/" + wanted_.architecture + "; there is: " + list,
        "choose one of these")
        .with_kind(Remedy::choose_platform);
  }

  ImageManifest manifest(const Found& found) {
    const std::string document = found.digest.text();
    const io::Document parsed = parse_json(fetch(found.digest, found.size), document);
    const io::Json& json = parsed;
    if (json.is_object() && json.contains("manifests"))
      throw io::Failed(io::Reason::hostile, document, "this is both an index and a manifest");
    ImageManifest image;
    image.name = found.name;
    const io::Json& config = member_of(
        json, "config", [](const io::Json& j) { return j.is_object(); }, document);
    const auto [config_digest, config_size] = reference(config, document);
    image.config_text = fetch(config_digest, config_size);
    image.config = parse_json(image.config_text, config_digest.text());
    require_architecture(image.config, wanted_.architecture);
    const std::vector<Digest> ids = diff_ids(image.config, config_digest.text());
    const io::Json& layers = array_of(json, "layers", document);
    if (layers.size() != ids.size())
      throw io::Failed(io::Reason::damaged, document,
                       "it lists " + std::to_string(layers.size()) +
                           " layers, but the configuration " + std::to_string(ids.size()));
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const std::string type = media_type(layers[i]);
      if (type.find(".tar") == std::string::npos || type.ends_with("+encrypted"))
        throw io::Failed(io::Reason::unsupported, document,
                         "a layer of the kind " + printable(type) + ", which is not a tar");
      const auto [digest, size] = reference(layers[i], document);
      image.layers.push_back({sized(digest, size), digest.text(), digest, ids[i]});
    }
    return image;
  }

  const Blobs& blobs_;
  const UnpackOptions& options_;
  InputWatch& watch_;
  Platform wanted_;
  std::vector<Found> found_;
};

}  // namespace ch::images
