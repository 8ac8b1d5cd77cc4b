// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. A Container Device Interface file, from text to values. Every field is checked
// for its type before it is used; the first that is wrong is named, with its place in the
// file, and nothing of that file counts. Fields that are not known are remembered.
// Source: SPEC.md of cncf-tags/container-device-interface; RFC 8259.
#pragma once

#include <nlohmann/json.hpp>
#include <set>

#include "ch/devices/cdi_spec.hpp"
#include "ch/io/failed.hpp"
#include "ch/io/text.hpp"

namespace ch::cdi {

/// Larger files are refused: the largest real ones, of nodes with 16 GPUs, have 100 KiB.
inline constexpr std::size_t max_spec_size = std::size_t{4} << 20;

namespace detail {

using Json = nlohmann::json;

/// A value of the file and its place in it, such as "devices[3].containerEdits".
class Field {
 public:
  Field(const Json& json, std::string place) : json_(&json), place_(std::move(place)) {}

  [[noreturn]] void refuse(const std::string& why) const {
    throw io::Failed({}, (place_.empty() ? "the file" : place_) + ": " + why);
  }
  [[nodiscard]] std::optional<Field> find(const char* name) const {
    if (!json_->is_object()) refuse("an object is expected, this is " + type());
    const auto it = json_->find(name);
    if (it == json_->end() || it->is_null()) return std::nullopt;
    return Field(*it, place_.empty() ? name : place_ + "." + name);
  }
  [[nodiscard]] Field need(const char* name) const {
    auto found = find(name);
    if (!found) refuse(std::string("there is no \"") + name + "\"");
    return *found;
  }
  /// The text of a string. A NUL in it would cut a path short, and is refused.
  [[nodiscard]] const std::string& text() const {
    if (!json_->is_string())
      refuse("a string is expected, this is " + type() +
             (json_->is_number() ? " (write it in quotes)" : ""));
    const auto& value = json_->get_ref<const std::string&>();
    if (value.find('\0') != std::string::npos) refuse("there is a NUL byte in it");
    return value;
  }
  [[nodiscard]] std::int64_t number(std::int64_t least, std::int64_t most) const {
    if (!json_->is_number_integer()) refuse("a whole number is expected, this is " + type());
    const bool too_large = json_->is_number_unsigned() &&
                           json_->get<std::uint64_t>() > static_cast<std::uint64_t>(most);
    const auto value = too_large ? most : json_->get<std::int64_t>();
    if (too_large || value < least || value > most) refuse("this number is out of range");
    return value;
  }
  /// Calls `each(Field)` for the elements of a list.
  template <class Each>
  void for_each(Each each) const {
    if (!json_->is_array()) refuse("a list is expected, this is " + type());
    std::size_t i = 0;
    for (const Json& element : *json_)
      each(Field(element, place_ + "[" + std::to_string(i++) + "]"));
  }
  [[nodiscard]] const Json& json() const noexcept { return *json_; }
  [[nodiscard]] const std::string& place() const noexcept { return place_; }

 private:
  [[nodiscard]] std::string type() const {
    const std::string name = json_->type_name();
    return (name == "object" || name == "array" ? "an " : name == "null" ? "" : "a ") + name;
  }

  const Json* json_;
  std::string place_;
};

/// A path from the root, without a line break (lists of mounts are lines to many readers).
/// One in the container goes up nowhere.
inline std::string path_of(const Field& field, bool in_container) {
  std::string path = field.text();
  if (path.empty() || path[0] != '/') field.refuse("a path that begins with / is expected");
  if (path.find('\n') != std::string::npos) field.refuse("there is a line break in this path");
  if (path.size() > 4095) field.refuse("this path is longer than 4095 bytes");
  if (in_container && ("/" + path + "/").find("/../") != std::string::npos)
    field.refuse("this path has \"..\" in it");
  return path;
}

inline DeviceNode node_of(const Field& field) {
  DeviceNode node;
  node.path = path_of(field.need("path"), true);
  const auto host = field.find("hostPath");
  node.host_path = host && !host->text().empty() ? path_of(*host, false) : node.path;
  if (const auto type = field.find("type"); type && !type->text().empty()) {
    if (type->text().size() != 1 ||
        std::string_view("bcup").find(type->text()[0]) == std::string_view::npos)
      type->refuse("the type of a device is b, c, u or p");
    node.type = type->text()[0];
  }
  constexpr std::int64_t most = 0xffffffff;
  if (const auto number = field.find("major")) node.major = number->number(0, most);
  if (const auto number = field.find("minor")) node.minor = number->number(0, most);
  return node;
}

inline Mount mount_of(const Field& field) {
  Mount mount;
  mount.host_path = path_of(field.need("hostPath"), false);
  mount.container_path = path_of(field.need("containerPath"), true);
  if (mount.container_path.find_first_not_of('/') == std::string::npos)
    field.need("containerPath").refuse("nothing can be mounted on the root");
  if (const auto type = field.find("type")) mount.type = type->text();
  if (const auto options = field.find("options"))
    options->for_each([&](const Field& o) { mount.read_only |= o.text() == "ro"; });
  return mount;
}

inline Hook hook_of(const Field& field) {
  Hook hook;
  hook.name = field.need("hookName").text();
  hook.path = path_of(field.need("path"), false);
  if (const auto arguments = field.find("args"))
    arguments->for_each([&](const Field& a) { hook.arguments.push_back(a.text()); });
  return hook;
}

inline std::string variable_of(const Field& field) {
  const std::string& text = field.text();
  if (const auto equals = text.find('='); equals == std::string::npos || equals == 0)
    field.refuse("NAME=VALUE is expected");
  return text;
}

inline Edits edits_of(const Field& field) {
  Edits edits;
  const auto each = [&](const char* name, auto take) {
    if (const auto list = field.find(name)) list->for_each(take);
  };
  each("env", [&](const Field& f) { edits.environment.push_back(variable_of(f)); });
  each("deviceNodes", [&](const Field& f) { edits.nodes.push_back(node_of(f)); });
  each("mounts", [&](const Field& f) { edits.mounts.push_back(mount_of(f)); });
  each("hooks", [&](const Field& f) { edits.hooks.push_back(hook_of(f)); });
  each("additionalGids", [&](const Field& f) {
    edits.groups.push_back(static_cast<std::uint32_t>(f.number(0, 0xfffffffe)));
  });
  for (const auto& [name, value] : field.json().items()) {
    bool known = name == "intelRdt";  // cache and memory bandwidth: not a container's to set
    for (const char* ours : {"env", "deviceNodes", "mounts", "hooks", "additionalGids"})
      known = known || name == ours;
    if (!known) edits.unknown.push_back(field.place() + "." + name);
  }
  return edits;
}

/// "0.3.0" to "1.x": what this code was written for.
inline void check_version(const Field& field) {
  const std::string& text = field.text();
  const auto dot = text.find('.');
  const std::string_view major = std::string_view(text).substr(0, dot);
  if (dot == std::string::npos || (major != "0" && major != "1"))
    field.refuse("version \"" + io::printable(text) + "\" is not known here (0.3.0 to 1.x are)");
}

}  // namespace detail

/// A parsed file as a Spec. Throws io::Failed, without a path, naming the field at fault.
[[nodiscard]] inline Spec spec_from_json(const nlohmann::json& json) {
  const detail::Field file(json, "");
  Spec spec;
  detail::check_version(file.need("cdiVersion"));
  const auto kind = file.need("kind");
  spec.kind = kind.text();
  if (!is_kind(spec.kind)) kind.refuse("VENDOR/CLASS is expected, such as nvidia.com/gpu");
  std::set<std::string> names;
  file.need("devices").for_each([&](const detail::Field& field) {
    const auto name = field.need("name");
    Device device{name.text(), {}};
    if (!is_device_name(device.name)) name.refuse("a name has letters, digits and . _ - : within");
    if (!names.insert(device.name).second) name.refuse("there is a device of this name already");
    if (const auto edits = field.find("containerEdits")) device.edits = detail::edits_of(*edits);
    spec.devices.push_back(std::move(device));
  });
  if (const auto edits = file.find("containerEdits")) spec.edits = detail::edits_of(*edits);
  return spec;
}

/// The text of a JSON file as a Spec. Throws io::Failed as above; never anything of the
/// parser's, whatever the text.
[[nodiscard]] inline Spec spec_from_json_text(std::string_view text) {
  detail::Json json;
  try {
    json = detail::Json::parse(text.begin(), text.end());
  } catch (const detail::Json::parse_error& e) {
    throw io::Failed({}, "this is not JSON, from byte " + std::to_string(e.byte) + " on");
  } catch (const detail::Json::exception&) {  // a number beyond all range
    throw io::Failed({}, "this is JSON with numbers that nothing can hold");
  }
  return spec_from_json(json);
}

}  // namespace ch::cdi
