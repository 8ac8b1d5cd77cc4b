// SPDX-License-Identifier: Apache-2.0
//
// Floor 6b. YAML as JSON: what nvidia-ctk writes by default. Plain words that look like numbers,
// true, false or null become such values; what is in quotes is text. Aliases are followed, up to a
// limit on the expanded size.
// Source: YAML 1.2, chapter 10.3 (core schema); yaml-cpp.
#pragma once

#include <yaml-cpp/yaml.h>

#include <charconv>

#include "ch/devices/cdi_parse.hpp"

namespace ch::cdi {

namespace detail {

/// A short text with nested aliases can expand to a huge document; so values are counted.
struct YamlBudget {
  std::size_t values = 200000;
  int depth = 0;
};

inline Json scalar_of(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return text;  // in quotes
  if (text.empty() || text == "~" || text == "null") return nullptr;
  if (text == "true" || text == "false") return text == "true";
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const char* begin = text.data();
  int base = 10;
  if (text.starts_with("0x")) {
    begin += 2;
    base = 16;
  } else if (text.starts_with("0o")) {
    begin += 2;
    base = 8;
  }
  const auto [stop, error] = std::from_chars(begin, end, number, base);
  if (error == std::errc() && stop == end && begin != end) return number;
  return text;
}

inline Json json_of(const YAML::Node& node, YamlBudget& budget) {
  if (budget.values-- == 0) throw io::Failed({}, "this file has too many values");
  if (budget.depth > 32) throw io::Failed({}, "this file is nested too deeply");
  ++budget.depth;
  Json json;
  if (node.IsMap()) {
    json = Json::object();
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) throw io::Failed({}, "a key in this file is not a scalar");
      json[entry.first.Scalar()] = json_of(entry.second, budget);
    }
  } else if (node.IsSequence()) {
    json = Json::array();
    for (const auto& element : node) json.push_back(json_of(element, budget));
  } else if (node.IsScalar()) {
    json = scalar_of(node);
  }
  --budget.depth;
  return json;
}

}  // namespace detail

/// The text of a YAML file as a Spec. Throws io::Failed as spec_from_json does.
[[nodiscard]] inline Spec spec_from_yaml_text(const std::string& text) {
  detail::Json json;
  try {
    detail::YamlBudget budget;
    json = detail::json_of(YAML::Load(text), budget);
  } catch (const YAML::Exception& e) {
    throw io::Failed({}, "this is not YAML, from line " + std::to_string(e.mark.line + 1) + " on");
  }
  return spec_from_json(json);
}

}  // namespace ch::cdi
