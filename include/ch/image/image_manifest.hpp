// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. What docker archives and OCI layouts have in common: a configuration and a list of
// layers, each with its known digests. Also the reading of their documents: bounded in size,
// digests checked first, and never as two kinds of document at once.
// Source: OCI image specification, config.md, descriptor.md, manifest.md.
#pragma once

#include <optional>

#include "ch/image/blobs.hpp"
#include "ch/io/json.hpp"

namespace ch::images {

/// One layer, still packed. `digest` is of the blob, `diff_id` of the tar in it.
struct Layer {
  FileRange blob;
  std::string name;
  std::optional<Digest> digest;
  Digest diff_id;
};

/// One image of an archive.
struct ImageManifest {
  std::string name;         // NAME:TAG, or the archive's name for it; may be empty
  std::string config_text;  // the configuration, byte by byte
  io::Document config;
  std::vector<Layer> layers;
};

inline constexpr std::uint64_t max_document = 16 * 1024 * 1024;

/// The whole blob as text. Throws limit beyond 16 MiB, damaged if `digest` differs.
inline std::string read_document(const FileRange& range, std::string_view name,
                                 const std::optional<Digest>& digest, InputWatch& watch) {
  if (range.size > max_document)
    throw io::Failed(io::Reason::limit, std::string(name),
                     "this description is larger than 16 MiB");
  std::string text(static_cast<std::size_t>(range.size), '\0');
  RangeSource source(range, watch);
  for (std::size_t have = 0; have < text.size();)
    have += source.read(std::span(text).subspan(have));
  if (digest) {
    Sha256 sha;
    sha.add(text);
    const Digest found = sha.finish();
    if (found != *digest)
      throw io::Failed(io::Reason::damaged, std::string(name),
                       "the content has a different digest, " + found.text(),
                       "fetch the archive again; it was damaged or altered");
  }
  return text;
}

/// Parses JSON. Throws damaged, naming the document.
inline io::Document parse_json(const std::string& text, std::string_view name) {
  io::Document document;
  if (!document.parse(text))
    throw io::Failed(io::Reason::damaged, std::string(name),
                     "this is not valid JSON, or has more than " +
                         std::to_string(io::Document::max_levels) + " levels",
                     "save or fetch the archive again");
  return document;
}

[[noreturn]] inline void throw_malformed(std::string_view name, std::string_view what) {
  throw io::Failed(io::Reason::damaged, std::string(name),
                   "this description of an image lacks " + std::string(what) +
                       ", or has something else in its place");
}

/// The member `key` of an object, of the type that `is` tests; else throws.
template <class Is>
const io::Json& member_of(const io::Json& object, const char* key, Is is,
                          std::string_view document) {
  if (object.is_object())
    if (const auto found = object.find(key); found != object.end() && is(*found)) return *found;
  throw_malformed(document, std::string("\"") + key + "\"");
}
inline const io::Json& array_of(const io::Json& object, const char* key,
                                std::string_view document) {
  return member_of(
      object, key, [](const io::Json& j) { return j.is_array(); }, document);
}
inline const std::string& string_of(const io::Json& object, const char* key,
                                    std::string_view document) {
  return member_of(
             object, key, [](const io::Json& j) { return j.is_string(); }, document)
      .get_ref<const std::string&>();
}
/// The same if it is there, else "".
inline std::string optional_string(const io::Json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

/// The digests of the uncompressed layers, lowest first.
inline std::vector<Digest> diff_ids(const io::Json& config, std::string_view document) {
  const io::Json& rootfs = member_of(
      config, "rootfs", [](const io::Json& j) { return j.is_object(); }, document);
  std::vector<Digest> ids;
  for (const io::Json& id : array_of(rootfs, "diff_ids", document)) {
    if (!id.is_string()) throw_malformed(document, "digests as text");
    ids.push_back(parse_digest(id.get_ref<const std::string&>()));
  }
  return ids;
}

/// Throws unless the configuration's architecture is `wanted`: an index without platforms, or a
/// docker archive, names it nowhere else.
inline void require_architecture(const io::Json& config, const std::string& wanted) {
  const std::string has = optional_string(config, "architecture");
  if (!has.empty() && has != wanted)
    throw io::Failed(io::Reason::unsupported, {},
                     "the image is for " + printable(has) + ", not for " + wanted,
                     "if you want it, choose the platform linux/" + printable(has))
        .with_kind(Remedy::choose_platform);
}

/// The configuration's environment as ch-run reads it: one NAME=VALUE per line, with
/// single quotes protected by another pair. What can't be written that way goes to `dropped`.
inline std::string environment_text(const io::Json& config, std::vector<std::string>& dropped) {
  std::string text;
  const auto inner = config.is_object() ? config.find("config") : config.end();
  if (!config.is_object() || inner == config.end() || !inner->is_object()) return text;
  const auto env = inner->find("Env");
  if (env == inner->end() || !env->is_array()) return text;
  for (const io::Json& item : *env) {
    if (!item.is_string()) continue;
    const auto& line = item.get_ref<const std::string&>();
    const std::size_t equals = line.find('=');
    if (equals == 0 || equals == std::string::npos ||
        line.find_first_of(std::string_view("\n\0", 2)) != std::string::npos) {
      dropped.push_back(printable(line.substr(0, equals)));
      continue;
    }
    const std::string_view value = std::string_view(line).substr(equals + 1);
    const bool quoted = value.size() >= 2 && value.front() == '\'' && value.back() == '\'';
    text.append(line, 0, equals + 1);
    text += quoted ? "'" + std::string(value) + "'" : std::string(value);
    text += '\n';
  }
  return text;
}

/// The command and its working directory, as ch-run reads them from /ch/process: records
/// "key=value", each ended by a NUL.
inline std::string process_records(const io::Json& config) {
  std::string text;
  const auto inner = config.is_object() ? config.find("config") : config.end();
  if (!config.is_object() || inner == config.end() || !inner->is_object()) return text;
  const auto record = [&text](const char* key, const io::Json& value) {
    if (!value.is_string()) return;
    const auto& word = value.get_ref<const std::string&>();
    if (word.find('\0') != std::string::npos) return;
    text.append(key).append(1, '=').append(word).append(1, '\0');
  };
  if (const std::string directory = optional_string(*inner, "WorkingDir"); !directory.empty())
    record("directory", directory);
  for (const auto& [field, key] : {std::pair("Entrypoint", "entrypoint"), std::pair("Cmd", "cmd")})
    if (const auto words = inner->find(field); words != inner->end() && words->is_array())
      for (const io::Json& word : *words) record(key, word);
  return text;
}

/// Throws an error that lists the images to choose from.
[[noreturn]] inline void throw_which_image(const std::string& asked,
                                           const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names)
    list += (list.empty() ? "" : ", ") + (name.empty() ? "(no name)" : printable(name));
  throw io::Failed(io::Reason::unsupported, {},
                   asked.empty()
                       ? "the archive has " + std::to_string(names.size()) + " images: " + list
                       : "the archive has no image " + asked + "; it has: " + list,
                   "choose one by its name")
      .with_kind(Remedy::choose_image);
}

/// Does `asked` mean the image `name`? The tag "latest" may be omitted, and so may Docker's own
/// registry prefix.
[[nodiscard]] inline bool names_match(std::string_view name, std::string_view asked) {
  if (name == asked) return true;
  const std::string latest = std::string(asked) + ":latest";
  if (name == latest) return true;
  for (const std::string_view prefix : {"docker.io/library/", "docker.io/", "localhost/"})
    if (name.starts_with(prefix) &&
        (name.substr(prefix.size()) == asked || name.substr(prefix.size()) == latest))
      return true;
  return false;
}

}  // namespace ch::images
