// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. A Container Device Interface file, from text to values. Every field is checked
// for its type before it is used; the first invalid one is named, with its place in the file, and
// the whole file is ignored. Unknown fields are recorded.
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
    if (!json_->is_object()) refuse("expected an object, but this is " + type());
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
      refuse("expected a string, but this is " + type() +
             (json_->is_number() ? " (write it in quotes)" : ""));
    const auto& value = json_->get_ref<const std::string&>();
    if (value.find('\0') != std::string::npos) refuse("it contains a NUL byte");
    return value;
  }
  [[nodiscard]] std::int64_t number(std::int64_t least, std::int64_t most) const {
    if (!json_->is_number_integer()) refuse("expected a whole number, but this is " + type());
    const bool too_large = json_->is_number_unsigned() &&
                           json_->get<std::uint64_t>() > static_cast<std::uint64_t>(most);
    const auto value = too_large ? most : json_->get<std::int64_t>();
    if (too_large || value < least || value > most) refuse("this number is out of range");
    return value;
  }
  /// Calls `each(Field)` for the elements of a list.
  template <class Each>
  void for_each(Each each) const {
    if (!json_->is_array()) refuse("expected a list, but this is " + type());
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

/// An absolute path without a line break (many programs read lists of mounts line by line). A path
/// in the container must not have "..", nor be the root.
inline std::string path_of(const Field& field, bool in_container) {
  std::string path = field.text();
  if (path.empty() || path[0] != '/') field.refuse("expected a path that begins with /");
  if (path.find('\n') != std::string::npos) field.refuse("this path contains a line break");
  if (path.size() > 4095) field.refuse("this path is longer than 4095 bytes");
  if (in_container && ("/" + path + "/").find("/../") != std::string::npos)
    field.refuse("this path contains \"..\"");
  if (in_container && path.find_first_not_of('/') == std::string::npos)
    field.refuse("can't mount anything on the root");
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
    field.refuse("expected NAME=VALUE");
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
    bool known = name == "intelRdt";  // cache and memory bandwidth: can't be set by a container
    for (const char* ours : {"env", "deviceNodes", "mounts", "hooks", "additionalGids"})
      known = known || name == ours;
    if (!known) edits.unknown.push_back(field.place() + "." + name);
  }
  return edits;
}

/// Accepts "0.3.0" to "1.x", for which this code was written.
inline void check_version(const Field& field) {
  const std::string& text = field.text();
  const auto dot = text.find('.');
  const std::string_view major = std::string_view(text).substr(0, dot);
  if (dot == std::string::npos || (major != "0" && major != "1"))
    field.refuse("version \"" + io::printable(text) + "\" is not supported (0.3.0 to 1.x are)");
}

}  // namespace detail

/// A parsed file as a Spec. Throws io::Failed, without a path, naming the field at fault.
[[nodiscard]] inline Spec spec_from_json(const nlohmann::json& json) {
  const detail::Field file(json, "");
  Spec spec;
  detail::check_version(file.need("cdiVersion"));
  const auto kind = file.need("kind");
  spec.kind = kind.text();
  if (!is_kind(spec.kind)) kind.refuse("expected VENDOR/CLASS, such as nvidia.com/gpu");
  std::set<std::string> names;
  file.need("devices").for_each([&](const detail::Field& field) {
    const auto name = field.need("name");
    Device device{name.text(), {}};
    if (!is_device_name(device.name))
      name.refuse("a name consists of letters, digits and, except at its ends, . _ - :");
    if (!names.insert(device.name).second) name.refuse("there is already a device of this name");
    if (const auto edits = field.find("containerEdits")) device.edits = detail::edits_of(*edits);
    spec.devices.push_back(std::move(device));
  });
  if (const auto edits = file.find("containerEdits")) spec.edits = detail::edits_of(*edits);
  return spec;
}

/// The text of a JSON file as a Spec. Throws io::Failed as above, and never an exception of the
/// parser.
[[nodiscard]] inline Spec spec_from_json_text(std::string_view text) {
  detail::Json json;
  try {
    json = detail::Json::parse(text.begin(), text.end());
  } catch (const detail::Json::parse_error& e) {
    throw io::Failed({}, "this is not JSON, from byte " + std::to_string(e.byte) + " on");
  } catch (const detail::Json::exception&) {  // a number out of range
    throw io::Failed({}, "this is JSON with numbers that are out of range");
  }
  return spec_from_json(json);
}

}  // namespace ch::cdi
