// SPDX-License-Identifier: Apache-2.0
//
// Floor 6c. The record of what was injected into an image, ch/injected.json: enough to
// list it, to take it out again, and to see that a second run need not do anything. Paths in it are
// encoded as in journal.hpp.
#pragma once

#include <algorithm>

#include "ch/inject/file_copy.hpp"
#include "ch/inject/injection_plan.hpp"
#include "ch/inject/journal.hpp"

namespace ch::injection {

/// One injected file or link. Size and time tell whether it is still what we put there.
struct InjectedItem {
  std::string path;    // in the image
  std::string source;  // on the host; empty: not a copy
  std::string target;  // of a link; empty: not a link
  std::string reason;
  std::int64_t size = 0, seconds = 0, nanoseconds = 0;
  std::uint64_t original = 0;  // number in injected.d of what was here before; 0: nothing was
  friend bool operator==(const InjectedItem&, const InjectedItem&) = default;
};

struct Manifest {
  std::vector<InjectedItem> items;
  std::vector<std::string> directories;  // that we made, parents first
  bool has_run_ldconfig = false;
  bool had_loader_cache = true;

  [[nodiscard]] const InjectedItem* find(std::string_view path) const {
    const auto at = std::find_if(items.begin(), items.end(),
                                 [path](const InjectedItem& i) { return i.path == path; });
    return at == items.end() ? nullptr : &*at;
  }
};

[[nodiscard]] inline std::string to_text(const Manifest& m) {
  nlohmann::ordered_json json;
  json["comment"] = "What was injected into this image, so that it can be taken out again";
  json["version"] = 1;
  json["has_run_ldconfig"] = m.has_run_ldconfig;
  json["had_loader_cache"] = m.had_loader_cache;
  json["items"] = nlohmann::ordered_json::array();
  for (const InjectedItem& i : m.items) {
    nlohmann::ordered_json item;
    item["path"] = encoded(i.path);
    if (!i.source.empty()) item["source"] = encoded(i.source);
    if (!i.target.empty()) item["target"] = encoded(i.target);
    item["reason"] = encoded(i.reason);
    item["size"] = i.size;
    item["seconds"] = i.seconds;
    item["nanoseconds"] = i.nanoseconds;
    if (i.original != 0) item["original"] = i.original;
    json["items"].push_back(std::move(item));
  }
  json["directories"] = nlohmann::ordered_json::array();
  for (const std::string& d : m.directories) json["directories"].push_back(encoded(d));
  return json.dump(1) + '\n';
}

/// Throws io::Failed if `text` is not a manifest: an image may contain anything of that name.
[[nodiscard]] inline Manifest manifest_from_text(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    if (json.at("version") != 1) throw io::Failed({}, "its version is not 1");
    Manifest m;
    m.has_run_ldconfig = json.at("has_run_ldconfig");
    m.had_loader_cache = json.at("had_loader_cache");
    for (const auto& i : json.at("items")) {
      const auto decoded_at = [&i](const char* key) { return decoded(i.value(key, "")); };
      const auto number_at = [&i](const char* key) {
        return whole_number<std::int64_t>(i.at(key));
      };
      InjectedItem item{decoded_at("path"),      decoded_at("source"), decoded_at("target"),
                        decoded_at("reason"),    number_at("size"),    number_at("seconds"),
                        number_at("nanoseconds")};
      if (i.contains("original")) item.original = whole_number<std::uint64_t>(i.at("original"));
      if (!item.path.starts_with('/') || !io::is_plain_name(io::base_of(item.path)))
        throw io::Failed({}, "a path in it is not absolute, or has no name at its end");
      m.items.push_back(std::move(item));
    }
    for (const auto& d : json.at("directories"))
      m.directories.push_back(decoded(d.get<std::string>()));
    return m;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    throw io::Failed(std::string(own_directory) + '/' + manifest_name,
                     "can't read the record of what was injected",
                     std::string("unpack the image again; the error is: ") + e.what());
  }
}

[[nodiscard]] inline Manifest read_manifest(const ImageTree& tree) {
  const auto text = tree.read(std::string(own_directory) + '/' + manifest_name);
  return text ? manifest_from_text(*text) : Manifest{};
}

/// Records in `item` what is at its path now.
inline void describe_present(const ImageTree& tree, InjectedItem& item) {
  const io::Descriptor& at = tree.held_directory(std::string(io::parent_of(item.path)));
  const std::string name(io::base_of(item.path));
  struct stat status {};
  if (!at || !io::status_of(at.get(), name, status)) return;
  item.size = status.st_size;
  if (S_ISLNK(status.st_mode)) return;  // its target says everything
  item.seconds = status.st_mtim.tv_sec;
  item.nanoseconds = status.st_mtim.tv_nsec;
}

/// Is what was injected still at `item`'s path?
[[nodiscard]] inline bool is_unchanged(const ImageTree& tree, const InjectedItem& item) {
  const io::Descriptor& at = tree.held_directory(std::string(io::parent_of(item.path)));
  const std::string name(io::base_of(item.path));
  struct stat status {};
  if (!at || !io::status_of(at.get(), name, status)) return false;
  if (!item.target.empty()) return io::link_target(at.get(), name) == item.target;
  return S_ISREG(status.st_mode) && status.st_size == item.size &&
         status.st_mtim.tv_sec == item.seconds && status.st_mtim.tv_nsec == item.nanoseconds;
}

}  // namespace ch::injection
